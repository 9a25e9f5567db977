from __future__ import annotations

import json

import pytest

from charseq.errors import DataError
from charseq.files import directory_lock, read_json_object, write_json


def test_a_directory_below_a_file_cannot_be_locked(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(DataError, match="file/run: cannot be made: Not a directory"),
        directory_lock(str(tmp_path / "file" / "run")),
    ):
        pass


def test_two_runs_never_write_one_directory(tmp_path):
    output = str(tmp_path / "run")
    with (
        directory_lock(output),
        pytest.raises(DataError, match="run: another run is writing there; let it end"),
        directory_lock(output),
    ):
        pass
    with directory_lock(output):
        pass


def test_a_json_file_is_replaced_whole(tmp_path):
    path = tmp_path / "some.json"
    write_json(str(path), {"a": "é"})
    write_json(str(path), {"b": 1})
    assert json.loads(path.read_text()) == {"b": 1}
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "some.json: not JSON: "), ("[]", "some.json: got list, expected a JSON object")],
)
def test_a_file_that_holds_no_json_object_is_refused(tmp_path, text, message):
    path = tmp_path / "some.json"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        read_json_object(str(path))

"""Files that appear whole, their hashes, and directories with one writer."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import pytest

from charseq.errors import DataError
from charseq.files import (
    FileDigest,
    digest_stream,
    directory_lock,
    read_json,
    read_json_object,
    seal,
    sha256_of_file,
    sha256_of_json,
    write_json,
    write_text,
)

pytestmark = pytest.mark.unit


def test_a_stream_is_hashed_in_pieces(tmp_path: Path) -> None:
    data = bytes(range(256)) * 10_000
    digest = hashlib.sha256(data).hexdigest()
    assert digest_stream(io.BytesIO(data), "a/b") == FileDigest("a/b", 2_560_000, digest)
    (tmp_path / "file").write_bytes(data)
    assert sha256_of_file(str(tmp_path / "file")) == digest


def test_the_hash_of_json_does_not_depend_on_the_order_of_keys() -> None:
    expected = hashlib.sha256(b'{"a":1,"b":"\\u00e9"}').hexdigest()
    assert sha256_of_json({"b": "é", "a": 1}) == expected
    assert seal({"b": "é", "sha256": "old", "a": 1}, "sha256") == expected


def test_a_file_is_replaced_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file.json"
    write_json(str(path), {"é": [1]})
    assert path.read_text(encoding="utf-8") == '{\n "é": [\n  1\n ]\n}\n'

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("charseq.files.os.fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        write_text(str(path), "half")
    assert read_json(str(path)) == {"é": [1]}


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_json_has_no_form_for_is_never_written(tmp_path: Path, number: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(str(tmp_path / "file.json"), {"epochs": [{"loss": number}]})
    assert list(tmp_path.iterdir()) == []


def test_json_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.write_text("{")
    with pytest.raises(DataError, match=r"file\.json: not JSON"):
        read_json(str(path))


def test_a_directory_has_one_writer(tmp_path: Path) -> None:
    directory = str(tmp_path / "new" / "output")
    with (
        directory_lock(directory),
        pytest.raises(DataError, match="another run is writing there"),
        directory_lock(directory),
    ):
        pass
    with directory_lock(directory):
        pass


def test_a_directory_that_cannot_be_created_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(DataError, match="file/output: cannot be made"),
        directory_lock(str(tmp_path / "file" / "output")),
    ):
        pass


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "some.json: not JSON: "), ("[]", "some.json: got list, expected a JSON object")],
)
def test_a_file_that_holds_no_json_object_is_refused(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "some.json"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        read_json_object(str(path))

from __future__ import annotations

import json

import pytest

from trainer.errors import DataError
from trainer.run_directory import (
    Run,
    begin_run,
    check_output,
    complete_run,
    read_run,
    write_json,
)

CONTENT = {
    "options": {"representation": "scalar", "batch_size": 64},
    "dataset": {
        "fingerprint": "ab" * 32,
        "max_length": 6,
        "alphabet_size": 4,
        "alphabet": ["A", "B"],
        "labels": ["x", "y"],
    },
}


def write_run(directory):
    begin_run(str(directory), CONTENT)
    complete_run(str(directory))


def test_a_complete_run_is_read_back(tmp_path):
    write_run(tmp_path / "run")
    assert read_run(str(tmp_path / "run")) == Run(
        directory=str(tmp_path / "run"),
        representation="scalar",
        batch_size=64,
        fingerprint="ab" * 32,
        max_length=6,
        alphabet_size=4,
        alphabet=("A", "B"),
        labels=("x", "y"),
    )


def test_a_run_is_not_complete_until_said(tmp_path):
    begin_run(str(tmp_path), CONTENT)
    with pytest.raises(DataError, match=r"holds no run\.json: not a run, or its training did not"):
        read_run(str(tmp_path))


def test_a_newer_run_is_not_read(tmp_path):
    write_run(tmp_path)
    (tmp_path / "run.json").write_text(json.dumps({**CONTENT, "format_version": 2}))
    with pytest.raises(DataError, match="got format version 2, expected at most 1"):
        read_run(str(tmp_path))


def test_a_complete_run_is_kept_unless_overwritten(tmp_path):
    write_run(tmp_path)
    with pytest.raises(DataError, match="already holds a run"):
        check_output(str(tmp_path), overwrite=False)
    check_output(str(tmp_path), overwrite=True)


def test_what_a_killed_run_left_may_be_written_over(tmp_path):
    begin_run(str(tmp_path), CONTENT)
    check_output(str(tmp_path), overwrite=False)


def test_files_of_another_kind_are_never_written_among(tmp_path):
    (tmp_path / "logs").mkdir()
    for overwrite in (False, True):
        with pytest.raises(DataError, match="holds files that are not of a run"):
            check_output(str(tmp_path), overwrite)


def test_output_that_is_a_file(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(DataError, match="run: not a directory"):
        check_output(str(tmp_path / "run"), overwrite=True)


def test_output_below_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="file/run: cannot be made: Not a directory"):
        begin_run(str(tmp_path / "file" / "run"), CONTENT)


def test_a_new_run_removes_what_the_last_one_wrote_and_nothing_else(tmp_path):
    write_run(tmp_path)
    for name in ("model.keras", "metrics.json", "evaluation-test.json", "report.html", "notes.txt"):
        (tmp_path / name).write_text("old")
    for name in ("saved_model", "saved_model.tmp", "logs"):
        (tmp_path / name).mkdir()
    begin_run(str(tmp_path), CONTENT)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes.txt", "run.json.partial"]


def test_json_is_replaced_whole(tmp_path):
    path = tmp_path / "some.json"
    write_json(str(path), {"a": "é"})
    write_json(str(path), {"b": 1})
    assert json.loads(path.read_text()) == {"b": 1}
    assert list(tmp_path.iterdir()) == [path]

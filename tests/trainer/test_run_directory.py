from __future__ import annotations

import json

import pytest

from charseq.errors import DataError
from charseq.models.runs import evaluation_file
from trainer.replacement import begin_run
from trainer.run_directory import Run, complete_run, read_run

pytestmark = pytest.mark.unit

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
    directory.mkdir(exist_ok=True)
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


def test_a_run_is_not_complete_before_complete_run(tmp_path):
    begin_run(str(tmp_path), CONTENT)
    with pytest.raises(DataError, match=r"holds no run\.json: not a run, or its training did not"):
        read_run(str(tmp_path))


def test_a_newer_run_is_not_read(tmp_path):
    write_run(tmp_path)
    (tmp_path / "run.json").write_text(json.dumps({**CONTENT, "format_version": 2}))
    with pytest.raises(DataError, match="got format version 2, expected at most 1"):
        read_run(str(tmp_path))


def test_the_file_of_an_evaluation_is_named_after_its_split():
    assert evaluation_file("test") == "evaluation-test.json"

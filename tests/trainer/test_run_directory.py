from __future__ import annotations

import json
from dataclasses import replace

import pytest

from charseq.errors import DataError
from trainer.config import Config, Interval
from trainer.run_directory import (
    Run,
    begin_run,
    check_output,
    complete_run,
    directory_lock,
    is_trained,
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


def write_trained(directory, **options):
    asked = Config(data="prepared", output=str(directory), **options).to_json()
    resolved = {"representation": "embedding", "strategy": "mirrored", "jit_compile": "on"}
    resolved["devices"] = ["CPU:0", "CPU:1"]
    content = {**CONTENT, "options": {**asked, **resolved, "replicas": 2}}
    content["asked"] = {name: asked[name] for name in resolved}
    directory.mkdir()
    begin_run(str(directory), content)
    complete_run(str(directory))


FINGERPRINT = CONTENT["dataset"]["fingerprint"]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"keep": 7, "resume": "must", "checkpoint_every": Interval(steps=5)},
        # What was resolved then may be said now, but not what another machine would resolve it to.
        {"representation": "embedding", "devices": ("CPU:0", "CPU:1")},
        {"strategy": "auto", "jit_compile": "on"},
    ],
)
def test_a_complete_run_is_known_again(tmp_path, options):
    write_trained(tmp_path / "run", units=(4, 3), jit_compile="auto")
    config = Config(data="elsewhere", output=str(tmp_path / "run"), units=(4, 3), **options)
    assert is_trained(config, FINGERPRINT)
    assert not is_trained(replace(config, output=str(tmp_path / "other")), FINGERPRINT)


@pytest.mark.parametrize(
    ("options", "fingerprint", "said"),
    [
        ({"epochs": 8}, FINGERPRINT, "--epochs 5, now 8. Choose another --output, or replace"),
        ({"epochs": 3}, FINGERPRINT, "--epochs 5, now 3. "),
        ({"units": (5, 3)}, FINGERPRINT, "--units 4,3, now 5,3. "),
        ({"devices": ("CPU:1",)}, FINGERPRINT, "--devices not given, now CPU:1. "),
        ({"strategy": "none", "seed": 2}, FINGERPRINT, "--strategy auto, now none; --seed 0, now"),
        ({}, "cd" * 32, "the dataset of fingerprint abababababababab…, now cdcdcdcdcdcdcdcd…. "),
    ],
)
def test_another_run_than_the_one_that_is_there(tmp_path, options, fingerprint, said):
    write_trained(tmp_path / "run", units=(4, 3))
    config = Config(data="prepared", output=str(tmp_path / "run"), **{"units": (4, 3), **options})
    with pytest.raises(DataError) as raised:
        is_trained(config, fingerprint)
    assert f"run already holds a run, but not this one: {said}" in str(raised.value)


def test_a_run_made_before_an_option_was_there(tmp_path):
    write_trained(tmp_path / "run")
    content = json.loads((tmp_path / "run" / "run.json").read_text())
    del content["options"]["early_stop"]
    (tmp_path / "run" / "run.json").write_text(json.dumps(content))
    config = Config(data="prepared", output=str(tmp_path / "run"))
    assert is_trained(config, FINGERPRINT)
    with pytest.raises(DataError, match="--early-stop 0, now 2"):
        is_trained(replace(config, early_stop=2), FINGERPRINT)


def test_a_run_killed_while_it_wrote_its_first_file(tmp_path):
    (tmp_path / "run.json.partial.tmp").write_text("{")
    check_output(str(tmp_path), overwrite=False)


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

"""An old run stays until the new one is whole, and a kill while it is replaced loses neither."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from charseq.errors import DataError
from tests.support.killed import Killed
from trainer.replacement import (
    begin_run,
    finish_replacement,
    is_replacement_interrupted,
    replace_run,
    work_directory,
)
from trainer.run_checks import check_output
from trainer.run_directory import complete_run, read_run_json

pytestmark = pytest.mark.unit

RUN = {"options": {}, "dataset": {"fingerprint": "ab" * 32}}


def write_old_run(output: Path) -> None:
    begin_run(str(output), {**RUN, "name": "old"})
    write_files(output, "old")
    (output / "report.html").write_text("old")
    (output / "notes.txt").write_text("mine")
    complete_run(str(output))


def write_files(directory: Path, text: str) -> None:
    for name in ("model.keras", "saved_model/saved_model.pb", "checkpoints/step-0000000007.npz"):
        (directory / name).parent.mkdir(exist_ok=True)
        (directory / name).write_text(text)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """The directory of a complete run, with a whole new one in `replacement/`."""
    write_old_run(tmp_path / "run")
    new = Path(work_directory(str(tmp_path / "run")))
    begin_run(str(new), {**RUN, "name": "new"})
    write_files(new, "new")
    return tmp_path / "run"


def content(output: Path) -> dict[str, str]:
    return {
        str(path.relative_to(output)): path.read_text()
        for path in output.rglob("*")
        if path.is_file() and path.name != "run.json"
    }


REPLACED = {
    "model.keras": "new",
    "saved_model/saved_model.pb": "new",
    "checkpoints/step-0000000007.npz": "new",
    "notes.txt": "mine",
}


def test_a_run_is_written_in_place_unless_a_complete_one_is_there(tmp_path: Path) -> None:
    assert work_directory(str(tmp_path)) == str(tmp_path)
    begin_run(str(tmp_path), RUN)
    assert work_directory(str(tmp_path)) == str(tmp_path)
    complete_run(str(tmp_path))
    assert work_directory(str(tmp_path)) == str(tmp_path / "replacement")


def test_the_old_run_is_complete_until_the_new_one_is(output: Path) -> None:
    assert read_run_json(str(output / "run.json"))["name"] == "old"
    assert (output / "model.keras").read_text() == "old"
    assert not is_replacement_interrupted(str(output))
    replace_run(str(output))
    assert read_run_json(str(output / "run.json"))["name"] == "new"
    assert content(output) == REPLACED
    assert sorted(path.name for path in output.iterdir()) == [
        "checkpoints",
        "model.keras",
        "notes.txt",
        "run.json",
        "saved_model",
    ]


def test_killed_at_any_change_of_a_file_it_is_finished(output: Path) -> None:
    changes, complete = 0, False
    while not complete:
        complete = replaced_before_kill(output, changes)
        run = output / "run.json"
        # With a run.json, all files are those of its run.
        if run.exists():
            name = json.loads(run.read_text())["name"]
            assert (output / "model.keras").read_text() == name
        if is_replacement_interrupted(str(output)):
            finish_replacement(str(output))
            assert read_run_json(str(run))["name"] == "new"
            assert content(output) == REPLACED
        else:
            assert changes == 0 or complete
        if not complete:
            restore_old(output)
        changes += 1
    assert changes > 10


def replaced_before_kill(output: Path, changes: int) -> bool:
    """Replace the run, and die before the change of a file that comes after `changes` others."""
    left = [changes]

    def dying(function):
        def change(*args):
            if not left[0]:
                raise Killed
            left[0] -= 1
            return function(*args)

        return change

    with pytest.MonkeyPatch.context() as patch:
        for name in ("remove", "replace", "rmdir"):
            patch.setattr(os, name, dying(getattr(os, name)))
        try:
            replace_run(str(output))
        except Killed:
            return False
    return True


def restore_old(output: Path) -> None:
    for path in sorted(output.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    write_old_run(output)
    new = Path(work_directory(str(output)))
    begin_run(str(new), {**RUN, "name": "new"})
    write_files(new, "new")


def test_a_run_that_is_named_replacement_is_not_written_over(output: Path) -> None:
    complete_run(str(output / "replacement"))
    with pytest.raises(DataError, match="replacement is a run of its own"):
        check_output(str(output), overwrite=True)


def test_files_in_a_directory_that_is_named_replacement_are_not_written_among(
    tmp_path: Path,
) -> None:
    write_old_run(tmp_path)
    (tmp_path / "replacement").mkdir()
    check_output(str(tmp_path), overwrite=True)
    (tmp_path / "replacement" / "model.keras").write_text("mine")
    with pytest.raises(DataError, match=r"not of a run, such as model\.keras"):
        check_output(str(tmp_path), overwrite=True)

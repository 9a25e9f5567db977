"""Of several runs into one directory, one publishes, whole, wherever which of them is cut short."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from charseq.errors import DataError
from pipeline.output.journal import (
    JOURNAL_FILE,
    StagedFile,
    StagedOutput,
    explain_failure,
    finish,
    publish_staged,
    read_journal,
)
from pipeline.output.layout import PREDICTIONS
from pipeline.output.staging import Staging, mark, new_staging, remove_runs, staging_path
from tests.support.killed import Killed, before_each_file_change, kill_at_file_change

pytestmark = pytest.mark.unit

OLD = {"a/1": "old", "a/2": "old", "b/c/1": "old"}
NEW = {"a/1": "new", "a/3": "new"}
OTHER = {"a/1": "other", "d": "other"}


class Run:
    """A run that has staged its files: their content by name."""

    def __init__(self, output: Path, files: dict[str, str]) -> None:
        self.files = files
        self.staging = new_staging(PREDICTIONS, str(output))
        mark(self.staging)
        for number, text in enumerate(files.values()):
            Path(self.staging.path(f"staged-{number}")).write_text(text)

    def publish(self) -> None:
        publish_staged(self.staging, lambda: to_staged(self.staging, self.files))

    def publish_and_leave(self) -> None:
        self.publish()
        remove_runs(self.staging.output, [self.staging.run])


def to_staged(staging: Staging, files: dict[str, str]) -> StagedOutput:
    staged = [StagedFile(staging.path(f"staged-{i}"), name) for i, name in enumerate(files)]
    return StagedOutput(staged, to_manifest(files))


def to_manifest(files: dict[str, str]) -> str:
    return json.dumps({"files": [{"path": name} for name in files], "content": files})


def read(output: Path) -> dict[str, str]:
    """Return the content of all files but those of `.staging`, by name."""
    return {
        str(path.relative_to(output)): path.read_text()
        for path in sorted(output.rglob("*"))
        if path.is_file() and ".staging" not in path.parts
    }


def published(files: dict[str, str]) -> dict[str, str]:
    return {**files, "predictions.json": to_manifest(files)}


def finish_as_the_next_run_does(output: Path) -> None:
    if journal := read_journal(str(output)):
        finish(str(output), journal)


@pytest.mark.parametrize("before", [{}, OLD, NEW])
def test_what_a_killed_run_was_publishing_is_finished_by_the_next(
    tmp_path: Path, before: dict[str, str]
) -> None:
    step, was_killed = 0, True
    while was_killed:
        output = tmp_path / str(step)
        if before:
            Run(output, before).publish_and_leave()
        (output / "a").mkdir(parents=True, exist_ok=True)
        (output / "a" / "mine").write_text("not listed")
        run = Run(output, NEW)
        with pytest.MonkeyPatch.context() as patch:
            kill_at_file_change(step, patch)
            try:
                run.publish()
                was_killed = False
            except Killed:
                pass
        mine = {"a/mine": "not listed"}
        if (output / "predictions.json").exists():
            assert read(output) in (published(before) | mine, published(NEW) | mine)
        had_begun = (output / ".staging" / JOURNAL_FILE).exists()
        finish_as_the_next_run_does(output)
        whole = NEW if had_begun or not was_killed else before
        assert read(output) == mine | (published(whole) if whole else {})
        # A runner that repeats the step ends in the same way.
        run.publish()
        assert read(output) == published(NEW) | mine
        assert not (output / ".staging" / JOURNAL_FILE).exists()
        step += 1
    assert step > 8


@pytest.mark.parametrize("before", [{}, OLD])
def test_of_two_runs_that_meet_anywhere_one_publishes(
    tmp_path: Path, before: dict[str, str]
) -> None:
    """At each change that one run makes, another one publishes all of its files."""
    outcomes = []
    for step in itertools.count():
        output = tmp_path / str(step)
        if before:
            Run(output, before).publish_and_leave()
        first, seconds = publish_both(Run(output, NEW), Run(output, OTHER), step)
        if not seconds:
            break
        (second,) = seconds
        assert (first is None) != (second is None)
        assert read(output) == published(NEW if first is None else OTHER)
        assert f"{output}: another run" in (first or second or "")
        assert "nothing of this run was published" in (first or second or "")
        outcomes.append("one" if first is None else "other")
    # Until the journal of the one is there, the other wins.
    assert outcomes == sorted(outcomes, reverse=True)
    assert outcomes.count("other") == 1
    assert outcomes.count("one") > 6


def publish_both(one: Run, other: Run, step: int) -> tuple[str | None, list[str | None]]:
    """Publish the one run, and before its change number `step` the other; return their errors."""
    others: list[str | None] = []
    is_met = False

    def meet(number: int) -> None:
        nonlocal is_met
        if number == step and not is_met:
            is_met = True
            others.append(error_of(other))

    with pytest.MonkeyPatch.context() as patch:
        before_each_file_change(meet, patch)
        return error_of(one), others


def error_of(run: Run) -> str | None:
    """Publish as the commands do; return the message of the error."""
    try:
        run.publish()
    except (DataError, OSError) as error:
        return str(explain_failure(run.staging, error) or error)
    return None


def test_the_loser_names_the_process_that_won(tmp_path: Path) -> None:
    winner, loser = Run(tmp_path, NEW), Run(tmp_path, OTHER)
    with pytest.MonkeyPatch.context() as patch:
        kill_at_file_change(5, patch)
        with pytest.raises(Killed):
            winner.publish()
    with pytest.raises(DataError, match=r"another run \(process \d+ on .* UTC\) published predict"):
        loser.publish()
    assert read(tmp_path) == published(NEW)


def test_only_what_the_manifest_lists_is_replaced(tmp_path: Path) -> None:
    Run(tmp_path, OLD).publish_and_leave()
    for name in ("mine", "a/mine", "b/mine"):
        (tmp_path / name).write_text("not listed")
    Run(tmp_path, NEW).publish_and_leave()
    mine = dict.fromkeys(("mine", "a/mine", "b/mine"), "not listed")
    assert read(tmp_path) == published(NEW) | mine
    # A directory that became empty is gone.
    assert not (tmp_path / "b" / "c").exists()
    assert not (tmp_path / ".staging").exists()


@pytest.mark.parametrize("name", ["a/3", "a", "a/1/below"])
def test_a_file_that_no_manifest_lists_is_never_overwritten(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text("mine")
    run = Run(tmp_path, NEW)
    with pytest.raises(DataError, match=r"has 'a.*', which this run would replace, but no manif"):
        run.publish()
    assert read(tmp_path) == {name: "mine"}
    assert read_journal(str(tmp_path)) is None


def test_a_damaged_file_is_replaced_by_an_equal_output(tmp_path: Path) -> None:
    Run(tmp_path, NEW).publish_and_leave()
    (tmp_path / "a" / "1").write_text("damaged")
    Run(tmp_path, NEW).publish_and_leave()
    assert read(tmp_path) == published(NEW)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[["out/.staging/shard-1", "train/part"]]', "no journal of this version"),
        ('{"format_version": 1, "run"', "no journal of this version"),
        ('{"format_version": 2}', "a newer version of charseq is publishing there"),
    ],
)
def test_a_journal_of_another_version_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / ".staging").mkdir()
    (tmp_path / ".staging" / JOURNAL_FILE).write_text(text)
    with pytest.raises(DataError, match=message):
        read_journal(str(tmp_path))


def test_a_forged_manifest_touches_nothing_outside(tmp_path: Path) -> None:
    output, outside = tmp_path / "out", tmp_path / "mine"
    outside.write_text("mine")
    Run(output, OLD).publish_and_leave()
    (output / "predictions.json").write_text('{"files": [{"path": "../mine"}]}')
    with pytest.raises(DataError, match=r"predictions\.json names the file '\.\./mine', expected"):
        Run(output, NEW).publish()
    assert outside.read_text() == "mine"


@pytest.mark.parametrize(
    "forged",
    [
        {"run": "../mine"},
        {"moves": [["../mine", "a"]]},
        {"moves": [["a", "../mine"]]},
        {"removes": ["../mine"]},
        {"others": ["../mine"]},
    ],
)
def test_a_forged_journal_names_nothing_outside(tmp_path: Path, forged: dict[str, Any]) -> None:
    journal = {"format_version": 1, "run": "0", "process": "", "manifest_file": "predictions.json"}
    journal |= {"manifest": "", "replaces": None, "moves": [], "removes": [], "others": []}
    path = Path(staging_path(str(tmp_path), JOURNAL_FILE))
    path.parent.mkdir()
    path.write_text(json.dumps(journal))
    assert read_journal(str(tmp_path))
    path.write_text(json.dumps({**journal, **forged}))
    with pytest.raises(DataError, match=r"moves\.json names the file '\.\./mine', expected"):
        read_journal(str(tmp_path))

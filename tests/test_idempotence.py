"""A scheduled run, started again: after a crash anywhere it ends the same, and done it stays."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from charseq.files import directory_lock
from pipeline.__main__ import main as prepare
from tests.support.killed import Killed
from tests.support.listing import listing
from tests.support.paths import ROOT
from trainer.__main__ import main as train
from trainer.evaluate.__main__ import main as evaluate
from trainer.promote.__main__ import main as promote

# Where to die, in the order of a run, and at which call.
MOMENTS = [
    ("pipeline.dataset.run.build", 1),
    ("pipeline.output.journal.move", 4),
    # What was being moved is finished first, so that the dataset is there by now.
    ("pipeline.dataset.run._confirm_existing", 1),
    ("trainer.training.train.begin_run", 1),
    ("trainer.run_directory.os.replace", 1),
    ("trainer.training.loop.validate", 1),
    ("trainer.training.train.export", 1),
    ("trainer.training.train.complete_run", 1),
    ("trainer.evaluate.files.write_json", 2),
    ("trainer.evaluate.__main__.write_report", 1),
    ("trainer.promote.promotion._check_copy", 1),
    ("trainer.promote.registry.Registry.point", 1),
]
# Every run measures anew, and a lock is taken.
_EVALUATED = ("evaluation-test.json", "examples-test.json", "report.html", "MODEL_CARD.md")
REWRITTEN = {*(f"runs/{name}" for name in _EVALUATED), "registry/.lock"}


def commands(folder: Path) -> list[tuple[Any, list[str]]]:
    """The steps of a date whose files are in `folder`, as its scheduler starts them."""
    rows, data, run = map(str, (folder.parent / "rows.csv", folder / "datasets", folder / "runs"))
    small = "--representation embedding --units 3 --epochs 2 --batch-size 32 "
    small += "--jit-compile off --checkpoint-every 1"
    # A model that was trained for a moment only may be trivial.
    into_registry = f"--registry {folder / 'registry'} --allow-trivial"
    return [
        (prepare, ["--input", rows, "--output", data, "--max-length", "6", "--num-shards", "2"]),
        (train, ["--data", data, "--output", run, *small.split()]),
        (evaluate, ["--model", run, "--data", data]),
        (promote, ["--candidate", run, "--data", data, *into_registry.split()]),
    ]


def run_chain(folder: Path) -> None:
    for main, argv in commands(folder):
        assert main(argv) == 0, argv


def run_killed(folder: Path, place: str, call: int) -> None:
    """The same, and die in a function; what cleans up after an error does not after a SIGKILL."""
    module, _, name = place.rpartition(".")
    owner = pytest.MonkeyPatch()
    calls: list[None] = []
    with owner.context() as patch:
        patch.setattr("pipeline.output.directory.leave", lambda _: None)
        real = _resolve(module, name)

        def counted(*args: Any, **kwargs: Any) -> Any:
            calls.append(None)
            if len(calls) == call:
                raise Killed
            return real(*args, **kwargs)

        patch.setattr(place, counted)
        with pytest.raises(Killed):
            run_chain(folder)


def _resolve(module: str, name: str) -> Any:
    owner, _, attribute = module.rpartition(".")
    if module in sys.modules:
        return getattr(sys.modules[module], name)
    return getattr(getattr(sys.modules[owner], attribute), name)


def run_killed_in_a_process(folder: Path, place: str, call: int) -> None:
    """Where a worker of Beam has to die, all of the process must."""
    script = f"""
import os, sys
from charseq.files import directory_lock
from pipeline.__main__ import main
import {place.rpartition(".")[0]} as module
real, calls = module.move, []
def counted(*args):
    calls.append(args)
    if len(calls) == {call}:
        os._exit(9)
    return real(*args)
module.move = counted
main(sys.argv[1:])
"""
    argv = commands(folder)[0][1]
    done = subprocess.run(
        [sys.executable, "-c", script, *argv],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 9, done.stderr


def content(folder: Path) -> dict[str, Any]:
    """What a chain made, without its times and places."""
    dataset = json.loads((folder / "datasets" / "dataset.json").read_text())
    evaluation = json.loads((folder / "runs" / "evaluation-test.json").read_text())
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    return {
        "names": sorted(name for name in names if "/logs/" not in name),
        "dataset": (dataset["fingerprint"], dataset["shards"], dataset["counts"]),
        "evaluation": evaluation,
        "current": "versions: 1" in (folder / "registry" / "models.config").read_text(),
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("idempotence")
    choose = random.Random(0)
    texts = ["".join(choose.choices("ABC", k=choose.randint(1, 8))) for _ in range(400)]
    lines = ["sequence,label", *(f"{text},{'xy'[text[0] == 'A']}" for text in texts)]
    (folder / "rows.csv").write_text("\n".join(lines))
    run_chain(folder / "whole")
    return folder / "whole"


@pytest.mark.crash
def test_a_chain_killed_at_every_step_ends_as_one_that_was_not(whole: Path) -> None:
    folder = whole.parent / "killed"
    for place, call in MOMENTS:
        kill = run_killed_in_a_process if place == "pipeline.output.journal.move" else run_killed
        kill(folder, place, call)
    run_chain(folder)
    assert content(folder) == content(whole)
    weights = [
        keras.saving.load_model(one / "runs" / "model.keras").get_weights()
        for one in (folder, whole)
    ]
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_chain_that_is_done_changes_nothing(
    whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = listing(whole, REWRITTEN)
    run_chain(whole)
    out = capsys.readouterr().out
    assert f"{whole / 'datasets'} is already prepared from these inputs with these options" in out
    assert f"{whole / 'runs'} is already trained on this dataset with these options" in out
    assert f"{whole / 'runs'} is already {whole / 'registry'}/1, the current one" in out
    assert listing(whole, REWRITTEN) == before


def test_what_does_not_fit_is_refused(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (_, preparation), (_, training), *_ = commands(whole)
    before = listing(whole, REWRITTEN)
    other = whole.parent / "other.csv"
    other.write_text("sequence,label\nA,y\n")
    assert prepare([*preparation, "--max-length", "5", "--input", str(other)]) == 1
    error = capsys.readouterr().err
    assert f"not this one: --max-length 6, now 5; {other} is new. Choose another" in error
    assert train([*training, "--epochs", "3"]) == 1
    assert "not this one: --epochs 2, now 3. Choose another" in capsys.readouterr().err
    assert listing(whole, REWRITTEN) == before


def test_two_at_once(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = whole.parent / "shared"
    (_, preparation), (_, training), *_ = commands(folder)
    with directory_lock(str(folder / "datasets")):
        assert prepare(preparation) == 1
    assert "datasets: another run is writing there; let it end" in capsys.readouterr().err
    with directory_lock(str(folder / "runs")):
        of_whole = {str(folder / "datasets"): str(whole / "datasets")}
        assert train([of_whole.get(word, word) for word in training]) == 1
    assert "runs: another run is writing there; let it end" in capsys.readouterr().err
    assert listing(folder, REWRITTEN) == {}

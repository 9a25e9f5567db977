"""Each command with hostile labels and file names on a console that knows ASCII only."""

from __future__ import annotations

import io
import os
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from charseq.ask.__main__ import main as ask
from pipeline.__main__ import main as prepare
from pipeline.inspect import main as inspect
from pipeline.predict.__main__ import main as predict
from trainer.__main__ import main as train
from trainer.evaluate.__main__ import main as evaluate
from trainer.promote.__main__ import main as promote

FOLDER, FILE = "in\x1b]0;owned\x07", b"Mu\xf1oz\x1b[2J.csv"  # F1 is ñ in Latin-1.
LABELS = ("plain", "\x1b[2J\u202eé")


@pytest.fixture
def console(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str]]:
    """Run a command; return its status and all that it printed, on a strict ASCII console."""

    def run(main: Callable[[Sequence[str]], int], *argv: object) -> tuple[int, str]:
        data = io.BytesIO()
        stream = io.TextIOWrapper(data, "ascii", errors="strict", write_through=True)
        with monkeypatch.context() as patch:
            patch.setattr("sys.stdout", stream)
            patch.setattr("sys.stderr", stream)
            try:
                status = main([str(arg) for arg in argv])
            except SystemExit as ended:
                status = int(str(ended.code))
        return status, data.getvalue().decode("ascii")

    return run


def write_input(folder: Path) -> str:
    rng = random.Random(1)
    # Easy to tell apart: a model that learns nothing is not promoted.
    rows = [
        f"{''.join(rng.choices(characters, k=8))},{label}"
        for characters, label in zip(("AB", "Cł\x1b"), LABELS, strict=True)
        for _ in range(300)
    ]
    folder.mkdir()
    path = os.path.join(os.fsencode(folder), FILE)
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(["sequence,label", *rows, ",plain", ""]))
    return os.fsdecode(path)


def test_nothing_reaches_a_terminal_with_its_control_characters(
    tmp_path: Path, console: Callable[..., tuple[int, str]]
) -> None:
    source = write_input(tmp_path / FOLDER)
    folder = tmp_path / "out\udcf1\x1b[2J"
    data, run, registry = folder / "data", folder / "run", folder / "models"
    pattern = str(tmp_path / FOLDER / "*.csv")
    predictions = ("--input", pattern, "--output", folder / "predicted")
    training = (
        "--representation",
        "embedding",
        "--units",
        "4",
        "--epochs",
        "3",
        "--batch-size",
        "16",
    )
    steps: list[tuple[int, Callable[..., int], tuple[object, ...]]] = [
        (2, prepare, ("--input", pattern, "--output", data, "--split", "\x1b[2J")),
        (2, prepare, ("--input", pattern, "--output", data, "--\x1b[2J")),
        (1, prepare, ("--input", source + "x", "--output", data)),
        (1, prepare, ("--input", pattern, "--output", data, "--max-rejected-fraction", "0")),
        (0, prepare, ("--input", pattern, "--output", data)),
        (0, prepare, ("--input", pattern, "--output", data)),
        (0, inspect, (data, "--count", "50")),
        (0, inspect, (data, "--verify")),
        (2, inspect, (data, "--label", "\x1b[2J")),
        (1, train, ("--data", f"{data}x", "--output", run)),
        (0, train, ("--data", data, "--output", run, *training)),
        (0, train, ("--data", data, "--output", run, *training)),
        (0, evaluate, ("--data", data, "--model", run)),
        (1, evaluate, ("--data", data, "--model", f"{run}x")),
        (0, promote, ("--registry", registry, "--candidate", run)),
        (0, promote, ("--registry", registry, "--explain", "1")),
        (1, promote, ("--registry", registry, "--rollback", "7")),
        (0, predict, ("--model", run / "saved_model", *predictions)),
        (1, predict, ("--model", run, *predictions)),
        (0, ask, ("--model", registry, "--influence=true", "AB\x1b[2J", "\u202eCł日\n")),
        (0, ask, ("--model", run, "--json", "AB\x1b[2J")),
        (3, ask, ("--model", run, "AB", "\udcf1")),
        (1, ask, ("--model", f"{run}x", "AB")),
    ]
    for expected, main, argv in steps:
        status, printed = console(main, *argv)
        assert status == expected, printed
        assert printed.replace("\n", "").isprintable(), (argv, printed)
        assert printed, argv
    assert b"Mu\\udcf1oz" in (data / "dataset.json").read_bytes()
    rows = b"".join(path.read_bytes() for path in sorted((folder / "predicted").rglob("*.jsonl")))
    assert b"Mu\\udcf1oz" in rows


def test_text_that_is_no_path_must_be_utf8(console: Callable[..., tuple[int, str]]) -> None:
    for main, flags in (
        (prepare, ("--input", "a.csv", "--output", "out", "--alphabet", "A\udcf1")),
        (prepare, ("--input", "a.csv", "--output", "out", "--label-column", "\udcf1")),
        (predict, ("--input", "a", "--output", "o", "--model", "m", "--sequence-column", "\udcf1")),
    ):
        status, printed = console(main, *flags)
        assert status == 2
        assert "\\udcf1', expected text in UTF-8" in printed
        assert printed.count("\n") == 1


def test_a_path_must_mean_the_same_to_tensorflow(
    monkeypatch: pytest.MonkeyPatch, console: Callable[..., tuple[int, str]]
) -> None:
    """In a locale of Latin-1, where Python reads the two bytes of a ñ as two characters."""
    monkeypatch.setattr("os.fsencode", lambda text: text.encode("latin-1"))
    status, printed = console(prepare, "--input", "a.csv", "--output", "\xc3\xb1")
    assert status == 2
    assert "set PYTHONUTF8=1" in printed

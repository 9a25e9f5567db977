"""Runs of several folds, evaluated together."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.datasets import toy_rows, write_dataset
from trainer.__main__ import main as train_main
from trainer.evaluate.__main__ import main

FLAGS = [
    *(
        "--representation",
        "embedding",
        "--units",
        "4",
        "--embedding-dim",
        "4",
        "--batch-size",
        "16",
    ),
    *("--jit-compile", "off", "--epochs", "3", "--learning-rate", "0.05"),
]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    directory = tmp_path_factory.mktemp("prepared")
    rows = toy_rows(240)
    parts = {"fold-0": rows[:70], "fold-1": rows[70:150], "fold-2": rows[150:]}
    write_dataset(directory, parts, transform=True)
    return str(directory)


@pytest.fixture(scope="module")
def runs(data: str, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("runs")
    for fold in range(3):
        own = ["--data", data, "--output", str(folder / str(fold)), "--fold", str(fold)]
        assert train_main([*own, *FLAGS]) == 0
    return [str(folder / str(fold)) for fold in range(3)]


def test_each_run_is_measured_on_its_fold_and_all_rows_together(
    data: str, runs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "folds"
    command = ["--folds", *reversed(runs), "--data", data, "--output", str(output)]
    assert main(command) == 0
    said = capsys.readouterr().out
    content = json.loads((output / "folds.json").read_text())
    assert [(one["fold"], one["run"], one["rows"]) for one in content["folds"]] == [
        (0, runs[0], 70),
        (1, runs[1], 80),
        (2, runs[2], 90),
    ]
    right = [round(one["accuracy"] * one["rows"]) for one in content["folds"]]
    assert content["pooled"]["rows"] == 240
    assert content["pooled"]["accuracy"] == pytest.approx(sum(right) / 240)
    # Each run has its own sets: those of all rows are theirs together.
    for number, score in enumerate(content["pooled"]["sets"]):
        covered = [sum(one["sets"][number]["covered"]) for one in content["folds"]]
        assert sum(score["covered"]) == sum(covered)
        assert score["coverage"] == pytest.approx(sum(covered) / 240)
    assert len(content["pooled"]["sets"]) == 6
    mean = sum(one["accuracy"] for one in content["folds"]) / 3
    summary = content["summaries"]["accuracy"]
    assert summary["mean"] == pytest.approx(mean)
    assert summary["low"] < mean < summary["high"]
    assert f"accuracy: {mean:.4f} ± {summary['deviation']:.4f}, 95 % interval" in said
    lines = [json.loads(line) for line in (output / "predictions.jsonl").read_text().splitlines()]
    assert [sum(line["fold"] == fold for line in lines) for fold in range(3)] == [70, 80, 90]
    assert sum(line["label"] == line["predicted"] for line in lines) == sum(right)
    assert {line["sequence"][:1] for line in lines} <= set("ABC\ufffd")
    page = (output / "report.html").read_text()
    assert "3 folds" in page
    assert f"{mean:.3f}" in page
    # A fold alone says the same.
    assert main(["--model", runs[1], "--data", data]) == 0
    alone = json.loads(Path(runs[1], "evaluation-test.json").read_text())
    assert alone["accuracy"] == content["folds"][1]["accuracy"]
    # Again replaces what is there; other files are in the way.
    (output / "notes.txt").write_text("mine")
    capsys.readouterr()
    assert main(command) == 1
    assert capsys.readouterr().err.startswith(f"error: {output} holds other files, such as notes")
    (output / "notes.txt").unlink()
    assert main([*command[:1], *runs[:2], *command[4:]]) == 0
    assert capsys.readouterr().out.startswith("no run is given of the folds 2\n")


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ([0], "error: --folds: got one run, expected two or more, of different folds"),
        ([0, 0], "error: {0} and {0} are both of fold 0"),
    ],
)
def test_runs_that_are_no_folds_together(
    data: str,
    runs: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    chosen: list[int],
    message: str,
) -> None:
    output = str(tmp_path / "folds")
    command = ["--folds", *(runs[fold] for fold in chosen), "--data", data, "--output", output]
    assert main(command) in (1, 2)
    assert capsys.readouterr().err.startswith(message.format(*runs))
    assert not Path(output).exists()


def test_a_fold_must_be_named(
    data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train_main(["--data", data, "--output", str(tmp_path / "run")]) == 1
    assert capsys.readouterr().err == (
        f"error: {data} has 3 folds, and no --fold was given: say which one is the test split, "
        "0 to 2\n"
    )

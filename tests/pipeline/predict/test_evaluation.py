"""Predictions compared with labels of the input."""

from __future__ import annotations

import json
from dataclasses import astuple
from pathlib import Path

import numpy as np
import pytest

from charseq.measures.metrics import MetricsAccumulator
from pipeline.predict.__main__ import main
from tests.support.toy_model import LABELS, save_toy_model
from trainer.evaluate.__main__ import main as evaluate_main

# The toy model answers "is A" with 1 / length.
ROWS = (
    "sequence,label\n"
    "AC,is A\nB,is B\nCDCD,is D\nAC,\nDE,never seen\nEE,never seen\nFG,other\n,is A\n"
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_toy_model(tmp_path_factory.mktemp("model") / "7", with_ids=True)


def predict(model: Path, rows: Path, output: Path, *flags: str) -> int:
    argv = ["--model", str(model), "--input", str(rows), "--output", str(output)]
    return main([*argv, "--max-rejected-fraction", "0.5", *flags])


def test_rows_with_a_label_of_the_model_are_compared(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows, output = tmp_path / "rows.csv", tmp_path / "out"
    rows.write_text(ROWS)
    assert predict(model, rows, output, "--label-column", "label") == 0
    said = capsys.readouterr().out
    assert "3 rows compared with their labels: accuracy 0.6667, macro F1" in said
    assert "; 3 rows have labels that the model does not have, 1 have none\n" in said
    content = json.loads((output / "evaluation.json").read_text())
    assert (content["rows"], content["split"]) == (3, "predictions")
    assert content["accuracy"] == pytest.approx(2 / 3)
    assert (content["without_label"], content["unseen_rows"]) == (1, 3)
    assert content["unseen_labels"] == {"never seen": 2, "other": 1}
    # Of AC is A: 1/2, of B is B: 1, and of CDCD each other label than C has a 27th of 3/4.
    expected = -np.log([0.5, 1, 0.75 / 27]).mean()
    assert content["loss"] == pytest.approx(expected, rel=1e-5)
    summary = json.loads((output / "predictions.json").read_text())
    assert "evaluation.json" in [file["path"] for file in summary["files"]]
    # All rows are predicted, those with another label, too.
    assert summary["counts"]["predicted"] == 7
    assert evaluate_main(["--predictions", str(output)]) == 0
    page = (output / "report.html").read_text()
    assert "never seen" in page
    assert "Compared with the labels of 3 rows" in page


def test_predictions_are_the_same_with_labels_and_without(model: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text(ROWS)
    assert predict(model, rows, tmp_path / "with", "--label-column", "label") == 0
    assert predict(model, rows, tmp_path / "without") == 0
    name = "predictions/part-00000-of-00001.jsonl"
    assert (tmp_path / "with" / name).read_bytes() == (tmp_path / "without" / name).read_bytes()
    assert not (tmp_path / "without" / "evaluation.json").exists()


def test_without_any_label_of_the_model_there_are_no_metrics(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows, output = tmp_path / "rows.csv", tmp_path / "out"
    rows.write_text("sequence,label\nAC,zzz\nB,\n")
    assert predict(model, rows, output, "--label-column", "label") == 0
    assert "no row has a label of the model: 1 rows have labels" in capsys.readouterr().out
    assert evaluate_main(["--predictions", str(output)]) == 1
    assert "no row had a label of the model" in capsys.readouterr().err
    assert evaluate_main(["--predictions", str(tmp_path)]) == 1
    assert "holds no evaluation.json: it is written by python" in capsys.readouterr().err


def test_an_earlier_model_cannot_be_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = save_toy_model(tmp_path / "7")
    (tmp_path / "rows.csv").write_text(ROWS)
    assert predict(model, tmp_path / "rows.csv", tmp_path / "out", "--label-column", "label") == 1
    assert "not enough for --label-column; train it again" in capsys.readouterr().err


@pytest.mark.unit
def test_the_sum_of_accumulators_is_the_accumulator_of_all_rows() -> None:
    rng = np.random.default_rng(0)
    shape = (60, len(LABELS))
    probabilities = rng.dirichlet(np.ones(shape[1]), shape[0]).astype(np.float32)
    labels, lengths = rng.integers(0, shape[1], shape[0]), rng.integers(1, 7, shape[0])
    whole, parts = (
        [MetricsAccumulator(shape[1], 6, [1] * shape[1]) for _ in range(count)] for count in (1, 3)
    )
    whole[0].add(labels, probabilities, lengths)
    for number, part in enumerate(parts):
        part.add(labels[number::3], probabilities[number::3], lengths[number::3])
    for part in parts[1:]:
        parts[0].merge(part)
    assert parts[0].rows == 60
    found, expected = (each.evaluation("s", "f", LABELS) for each in (parts[0], whole[0]))
    assert (found.labels, found.confusion, found.lengths) == (
        expected.labels,
        expected.confusion,
        expected.lengths,
    )
    assert found.loss == pytest.approx(expected.loss, rel=1e-12)
    assert found.baseline is not None
    assert expected.baseline is not None
    assert astuple(found.baseline) == pytest.approx(astuple(expected.baseline), rel=1e-12)

"""Predictions with sets of labels, and without a label where the model is not sure enough."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from charseq.errors import UsageError
from charseq.files import write_json
from charseq.models.calibration import Calibration, Sureness
from pipeline.predict import dofns
from pipeline.predict.__main__ import main
from pipeline.predict.columns import OutputColumns
from pipeline.predict.formats import to_json_lines
from pipeline.predict.options import PredictOptions
from pipeline.predict.sets import SetRule, find_sets
from pipeline.rows import parts
from tests.support.toy_model import save_toy_model

SCORES = {"lac": (0.1, 0.6, 0.985), "aps": (0.1, 0.29, 0.9)}
CALIBRATION = Calibration(3, 1.5, Sureness(0.5, 0.25), Sureness(0.4, 0.125), SCORES)
# The toy model answers "is A" with 1 / length, and 27 other labels with equal parts of the rest.
ROWS = "set,sequence,label\nx,ACD,is A\ny,CDCD,is D\nz,B,is B\n"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return calibrate(save_toy_model(tmp_path_factory.mktemp("model") / "7", with_ids=True))


def calibrate(model: Path) -> Path:
    write_json(str(model / "assets" / "calibration.json"), CALIBRATION.to_json())
    return model


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.csv"
    path.write_text(ROWS)
    return path


def run(model: Path, rows: Path, output: Path, *flags: str) -> int:
    return main(["--model", str(model), "--input", str(rows), "--output", str(output), *flags])


def predict(model: Path, rows: Path, output: Path, *flags: str) -> list[dict[str, Any]]:
    """Predict, which must succeed; return the rows of the one file of predictions."""
    assert run(model, rows, output, *flags) == 0
    (path,) = (output / "predictions").iterdir()
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()  # type: ignore[no-any-return]
    if path.suffix == ".csv":
        return [dict(row) for row in csv.DictReader(io.StringIO(path.read_text()))]
    return [json.loads(line) for line in path.read_text().splitlines()]


def values(found: list[dict[str, Any]], *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in names) for row in found]


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_sets_and_reasons_in_every_format(
    model: Path, rows: Path, tmp_path: Path, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--coverage", "0.5", "--set-method", "aps", "--min-confidence", "0.3", "--top", "2"]
    flags += ["--keep", "set", "--with-sequence", "--output-format", form]
    found = predict(model, rows, tmp_path / "out", *flags)
    assert list(found[0]) == [
        *("source", "row", "label", "probability", "label_2", "probability_2"),
        *("set", "reason", "sequence", "input_set"),
    ]
    none = "" if form == "csv" else None
    assert values(found, "label", "label_2", "reason", "input_set") == [
        ("is A", "is B", none, "x"),
        (none, none, "low_confidence", "y"),
        ("is B", "is A", none, "z"),
    ]
    sets = [json.loads(row["set"]) if form == "csv" else row["set"] for row in found]
    # Up to 0.29 together: 1/4 and a 27th of 3/4 of CDCD; of the others the first is above.
    assert sets == [["is A"], ["is C", "is A"], ["is B"]]
    assert [float(row["probability"]) for row in found] == pytest.approx([1 / 3, 1 / 4, 1])
    said = capsys.readouterr().out
    assert "1 rows (33.3 %) have no label: their probability is below --min-confidence\n" in said
    counts = json.loads((tmp_path / "out" / "predictions.json").read_text())["counts"]
    assert (counts["predicted"], counts["low_confidence"]) == (3, 1)
    # The same command again has nothing to do; with another coverage it is refused.
    assert run(model, rows, tmp_path / "out", *flags) == 0
    assert run(model, rows, tmp_path / "out", *flags, "--coverage", "0.6") == 1
    assert "--coverage 0.5, now 0.6" in capsys.readouterr().err


def test_the_smallest_sets_are_the_default(model: Path, rows: Path, tmp_path: Path) -> None:
    found = predict(model, rows, tmp_path / "half", "--coverage", "0.5")
    assert values(found, "label", "set") == [
        ("is A", ["is A"]),
        ("is C", ["is C"]),
        ("is B", ["is B"]),
    ]
    assert "reason" not in found[0]
    # 0.985 is the score of the labels of 0.015 and more: of B there is one, of the others all.
    found = predict(model, rows, tmp_path / "more", "--coverage", "0.75")
    assert [len(row["set"]) for row in found] == [28, 28, 1]
    assert found[1]["set"][:3] == ["is C", "is A", "is B"]


@pytest.mark.unit
def test_a_probability_that_is_written_like_the_limit_is_not_below_it() -> None:
    probability = np.array([0.9, 0.8999], np.float32)
    assert float(probability[0]) < 0.9
    labels = (pa.array(["a", "b"]), probability), (pa.array(["c", "d"]), 1 - probability)
    (best, _), (second, others) = dofns.leave_unsure(list(labels), 0.9)
    assert (best.to_pylist(), second.to_pylist()) == (["a", None], ["c", None])
    assert others.to_pylist() == pytest.approx([0.1, 0.1001], abs=1e-6)


def test_metrics_are_those_of_all_rows(model: Path, rows: Path, tmp_path: Path) -> None:
    labelled = ["--label-column", "label"]
    predict(model, rows, tmp_path / "all", *labelled)
    predict(model, rows, tmp_path / "sure", *labelled, "--min-confidence", "0.9")
    whole, sure = (
        json.loads((tmp_path / name / "evaluation.json").read_text()) for name in ("all", "sure")
    )
    assert whole == sure
    assert whole["rows"] == 3


def test_without_the_flags_nothing_is_added(model: Path, rows: Path, tmp_path: Path) -> None:
    found = predict(model, rows, tmp_path / "out", "--keep", "set")
    assert list(found[0]) == ["source", "row", "label", "probability", "set"]
    counts = json.loads((tmp_path / "out" / "predictions.json").read_text())["counts"]
    assert "low_confidence" not in counts


def test_rows_of_several_slices_keep_their_sets(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rows.txt").write_text("ACD\nCDCD\nB\nABCDE\nDC\n" * 5)
    flags = ["--coverage", "0.5", "--set-method", "aps", "--min-confidence", "0.3"]
    whole = predict(model, tmp_path / "rows.txt", tmp_path / "one", *flags)
    monkeypatch.setattr(dofns, "_SLICE_ROWS", 7)
    assert predict(model, tmp_path / "rows.txt", tmp_path / "two", *flags) == whole
    # Of ABCDE 1/5, and three of a 27th of 4/5.
    abcde = ["is A", "is B", "is C", "is D"]
    assert [row["set"] for row in whole] == [
        *(["is A"], ["is C", "is A"], ["is B"], abcde, ["is D"]),
    ] * 5


@pytest.mark.engine
def test_the_same_bytes_from_two_workers(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "MIN_BLOCK_BYTES", 1 << 12)
    (tmp_path / "rows.txt").write_text("ACD\nCDCD\nB\nABCDE\nDC\n" * 2000)
    flags = ["--coverage", "0.5", "--set-method", "aps", "--min-confidence", "0.3"]
    workers = ["--direct_running_mode=multi_processing", "--direct_num_workers=2"]
    assert run(model, tmp_path / "rows.txt", tmp_path / "one", *flags) == 0
    assert run(model, tmp_path / "rows.txt", tmp_path / "two", *flags, *workers) == 0
    one, two = (
        [path.read_bytes() for path in sorted((tmp_path / name / "predictions").iterdir())]
        for name in ("one", "two")
    )
    assert len(one) > 3
    assert one == two


@pytest.mark.parametrize(
    ("scores", "with_ids", "coverage", "said"),
    [
        (False, True, "0.5", "/7 holds no assets/calibration.json, without which there are no"),
        (True, True, "0.9", "/7 was calibrated on 3 validation rows, so few that all labels would"),
        (True, False, "0.5", "which is not enough for --coverage; train it again"),
    ],
)
def test_a_model_without_sets_is_refused(
    tmp_path: Path,
    rows: Path,
    capsys: pytest.CaptureFixture[str],
    scores: bool,
    with_ids: bool,
    coverage: str,
    said: str,
) -> None:
    model = save_toy_model(tmp_path / "7", with_ids=with_ids)
    if scores:
        calibrate(model)
    assert run(model, rows, tmp_path / "out", "--coverage", coverage) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert said in error
    assert not (tmp_path / "out" / "predictions.json").exists()
    if coverage == "0.9":
        assert "choose 0.75 or less, or train a model on a dataset with more of them" in error


def test_a_damaged_calibration_is_named(
    tmp_path: Path, rows: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = save_toy_model(tmp_path / "7", with_ids=True)
    (model / "assets" / "calibration.json").write_text("{")
    assert run(model, rows, tmp_path / "out", "--coverage", "0.5") == 1
    assert f"{model}/assets/calibration.json: not JSON" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--coverage", "1"], "--coverage: got 1.0, expected a number above 0 and below 1"),
        (["--min-confidence", "1.5"], "--min-confidence: got 1.5, expected 0 to 1"),
        (["--set-method", "aps"], "--set-method: only with --coverage"),
    ],
)
def test_flags_that_mean_nothing_are_refused(
    rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], said: str
) -> None:
    assert run(tmp_path, rows, tmp_path / "out", *flags) == 2
    assert said in capsys.readouterr().err


@pytest.mark.unit
def test_a_set_has_the_most_probable_labels_first() -> None:
    probabilities = np.array([[0.2, 0.5, 0.3], [0.4, 0.2, 0.4]], np.float32)
    labels = pa.array(["a", "b", "c"])
    assert find_sets(probabilities, labels, SetRule("lac", 0.75)).to_pylist() == [
        ["b", "c"],
        ["a", "c"],
    ]
    assert find_sets(probabilities, labels, SetRule("aps", math.inf)).to_pylist() == [
        ["b", "c", "a"],
        ["a", "c", "b"],
    ]


@pytest.mark.unit
def test_names_of_the_input_do_not_clash() -> None:
    columns = OutputColumns("reason", ("set",), with_set=True, min_confidence=0.5)
    assert columns.names() == [
        *("source", "row", "input_reason", "label", "probability", "set", "reason", "input_set"),
    ]
    with pytest.raises(UsageError, match=r"^--keep: 'input_set' would stand twice in the output"):
        PredictOptions("m", ("i",), "o", keep=("set", "input_set"), coverage=0.5)


@pytest.mark.unit
def test_lists_of_any_text_are_json() -> None:
    lists = [["dropped"], ['"', "\\"], [], ["\x00\u2028", "plain", "\U0001f600,"]]
    batch = pa.record_batch({"set": pa.array(lists, pa.list_(pa.string()))}).slice(1)
    lines = bytes(to_json_lines(batch, {})).decode().split("\n")[:-1]
    assert [json.loads(line)["set"] for line in lines] == lists[1:]


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_strangeness_in_every_format(rows: Path, tmp_path: Path, form: str) -> None:
    more = ("strangeness_ids",)
    model = save_toy_model(tmp_path / "model" / "8", with_ids=True, more=more)
    flags = ["--with-strangeness", "--min-confidence", "0.3", "--output-format", form]
    found = predict(model, rows, tmp_path / "out", *flags)
    names = ["source", "row", "label", "probability", "strangeness", "reason"]
    assert list(found[0]) == names
    got = [float(row["strangeness"]) for row in found]
    assert got == pytest.approx([3 / 6, 4 / 6, 1 / 6], abs=1e-6)


def test_a_model_that_does_not_say_what_is_strange_is_refused(
    model: Path, rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(model, rows, tmp_path / "out", "--with-strangeness") == 1
    assert f"error: {model} does not say how strange a sequence is" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()

"""Rows that look mislabelled: literal ones, and planted ones that a model has not learned from."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest

from charseq.errors import DataError
from tests.support.datasets import toy_rows, write_dataset
from trainer.__main__ import main as train_main
from trainer.evaluate.__main__ import main
from trainer.evaluate.suspicious import (
    SuspiciousRow,
    collect_suspicious,
    read_suspicious,
    suggest,
    top_labels,
    write_suspicious,
)

UNKNOWN = 3
LABELS = ("x", "y", "z")

# Labels with the probabilities of x, y and z. The thresholds are 0.6, 0.5 and 0.75.
ROWS = [
    (0, (0.875, 0.0625, 0.0625)),
    (0, (0.25, 0.5, 0.25)),  # y: at its threshold.
    (0, (0.5, 0.25, 0.25)),
    (0, (0.8125, 0.0625, 0.125)),
    (0, (0.5625, 0.25, 0.1875)),
    (1, (0.0625, 0.875, 0.0625)),
    (1, (0.4375, 0.125, 0.4375)),  # Two are above y, and none is at its threshold.
    (2, (0.0, 0.0, 1.0)),
    (2, (0.1875, 0.3125, 0.5)),
]


@pytest.mark.unit
def test_rows_that_another_label_fits_as_well_as_its_own_rows_are_suspicious() -> None:
    labels = np.array([label for label, _ in ROWS])
    ids = np.array([[1 + number % 2, UNKNOWN, 0] for number in range(len(ROWS))])
    lengths = np.array([1 + number % 2 for number in range(len(ROWS))])
    probabilities = np.array([each for _, each in ROWS], np.float32)
    with collect_suspicious(3) as suspicious:
        assert list(suspicious.rank(LABELS, "AB")) == []
        for part, fold in ((slice(0, 4), 0), (slice(4, None), 2)):
            of_part = (labels[part], probabilities[part], ids[part], lengths[part])
            suspicious.add(*of_part, fold=fold)
        assert suspicious.thresholds().tolist() == [0.6, 0.5, 0.75]
        assert list(suspicious.rank(LABELS, "AB")) == [
            SuspiciousRow("B\ufffd", "x", "y", 0.25, 0.5, 0)
        ]
        # A row of a new fold, and of a larger margin, with a text of its own.
        suspicious.add(
            np.array([2]), np.array([[0.8125, 0.1875, 0.0]]), np.array([[2, 2, 1]]), np.array([3])
        )
        assert list(suspicious.rank(LABELS, "AB")) == [
            SuspiciousRow("BBA", "z", "x", 0.0, 0.8125),
            SuspiciousRow("B\ufffd", "x", "y", 0.25, 0.5, 0),
        ]


@pytest.mark.unit
def test_the_most_probable_label_above_its_threshold_is_suggested() -> None:
    own = np.array([0.125, 0.25, 0.3125, 0.0])
    others = np.array([[0, 1], [0, 1], [1, 0], [1, 0]])
    probabilities = np.array([[0.5, 0.375], [0.5, 0.25], [0.375, 0.3125], [1.0, 0.0]])
    # The label 2 is the rows' own. Label 1 passes in the first row, and is not above in the second.
    suggested = suggest(own, others, probabilities, np.array([0.625, 0.25, 0.5]))
    assert suggested.tolist() == [1, -1, 0, 0]
    # No row of label 1: nothing tells how sure the model is of it.
    suggested = suggest(own, others, probabilities, np.array([0.625, np.inf, 0.5]))
    assert suggested.tolist() == [-1, -1, -1, -1]


@pytest.mark.unit
def test_of_many_labels_eight_may_be_suggested() -> None:
    probabilities = np.full((1, 1000), 0.0, np.float32)
    probabilities[0, [700, 30, 31, 999, 5, 6, 7, 8, 9]] = [0.3, 0.2, 0.2, 0.1] + [0.04] * 5
    labels, ordered = top_labels(probabilities)
    assert labels[0, :4].tolist() == [700, 30, 31, 999]
    assert ordered[0, :4].tolist() == pytest.approx([0.3, 0.2, 0.2, 0.1])
    assert labels.shape == (1, 8)
    labels, ordered = top_labels(np.array([[0.25, 0.5, 0.25]]))
    assert (labels.tolist(), ordered.tolist()) == ([[1, 0, 2]], [[0.5, 0.25, 0.25]])


@pytest.mark.unit
def test_a_file_has_a_line_for_each_row_and_is_read_by_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "suspicious.jsonl"
    assert read_suspicious(str(path)) is None
    rows = [SuspiciousRow(f'"\u2028\r{n}', "x", "y", 0.25, 0.5, n % 2 or None) for n in range(12)]
    assert write_suspicious(str(path), iter(rows)) == 12
    lines = path.read_bytes().decode().split("\n")
    assert json.loads(lines[1]) == {
        "sequence": '"\u2028\r1',
        "label": "x",
        "suggested": "y",
        "probability": 0.25,
        "suggested_probability": 0.5,
        "fold": 1,
    }
    assert "fold" not in json.loads(lines[2])
    assert read_suspicious(str(path)) == (12, rows[:10])
    path.write_text('{"sequence": "A"}\n')
    with pytest.raises(DataError, match=r"suspicious\.jsonl, line 1: damaged, or not a row"):
        read_suspicious(str(path))


def swap_some(rows: list[tuple[str, str]], share: float) -> tuple[list[tuple[str, str]], set[str]]:
    """Return rows, a share of which have another label than theirs, and the texts of these."""
    choose = random.Random(5)
    texts = sorted({text[:6] for text, _ in rows})
    swapped = set(choose.sample(texts, round(share * len(texts))))
    other = {"x": "y", "y": "z", "z": "x"}
    changed = [(text, other[label] if text[:6] in swapped else label) for text, label in rows]
    return changed, {text.replace("?", "\ufffd") for text in swapped}


def distinct_rows(count: int) -> list[tuple[str, str]]:
    """Return toy rows of different texts, also as they are cut."""
    by_text = {text[:6]: (text, label) for text, label in toy_rows(4 * count, seed=9)}
    return list(by_text.values())[:count]


FLAGS = "--representation embedding --units 8 --embedding-dim 4 --epochs 4 --batch-size 16 "
FLAGS += "--learning-rate 0.03 --jit-compile off"


def test_most_planted_labels_are_found_on_the_validation_split(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows, swapped = swap_some(distinct_rows(900), 0.05)
    splits = {"train": rows[:600], "validation": rows[600:], "test": rows[:20]}
    data, run = tmp_path / "data", tmp_path / "run"
    write_dataset(data, splits, transform=True)
    command = ["--data", str(data)]
    assert train_main([*command, "--output", str(run), *FLAGS.split()]) == 0
    assert main([*command, "--model", str(run)]) == 0
    assert not (run / "suspicious.jsonl").exists()
    assert "Labels that look wrong" not in (run / "report.html").read_text()
    capsys.readouterr()
    assert main([*command, "--model", str(run), "--split", "validation"]) == 0
    said = capsys.readouterr().out
    lines = [json.loads(line) for line in (run / "suspicious.jsonl").read_text().splitlines()]
    path = run / "suspicious.jsonl"
    assert f"labels that look wrong: {len(lines)} of 300 rows, in {path}\n" in said
    planted = swapped & {text[:6].replace("?", "\ufffd") for text, _ in rows[600:]}
    found = {line["sequence"] for line in lines}
    assert len(planted) >= 10
    assert len(found & planted) >= 0.9 * len(planted)
    assert len(found & planted) >= 0.8 * len(found)
    margins = [line["suggested_probability"] - line["probability"] for line in lines]
    assert margins == sorted(margins, reverse=True)
    right = {"A": "x", "B": "y"}
    wrong = [line for line in lines if line["sequence"] in planted]
    assert all(line["suggested"] == right.get(line["sequence"][0], "z") for line in wrong)
    page = (run / "report.html").read_text()
    assert f"<small>{len(lines)} of 300 rows of the validation split" in page


def test_the_folds_together_look_at_every_row(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows, swapped = swap_some(distinct_rows(600), 0.05)
    data = tmp_path / "data"
    parts = {f"fold-{fold}": rows[200 * fold : 200 * fold + 200] for fold in range(3)}
    write_dataset(data, parts, transform=True)
    runs = [str(tmp_path / str(fold)) for fold in range(3)]
    for fold, run in enumerate(runs):
        command = ["--data", str(data), "--output", run, "--fold", str(fold), *FLAGS.split()]
        assert train_main(command) == 0
    capsys.readouterr()
    output = tmp_path / "folds"
    assert main(["--folds", *runs, "--data", str(data), "--output", str(output)]) == 0
    lines = [json.loads(line) for line in (output / "suspicious.jsonl").read_text().splitlines()]
    assert f"labels that look wrong: {len(lines)} of 600 rows" in capsys.readouterr().out
    planted = swapped & {text[:6].replace("?", "\ufffd") for text, _ in rows}
    found = {line["sequence"] for line in lines}
    assert len(found & planted) >= 0.8 * len(planted)
    fold_of = {
        text[:6].replace("?", "\ufffd"): number // 200 for number, (text, _) in enumerate(rows)
    }
    assert all(line["fold"] == fold_of[line["sequence"]] for line in lines)
    assert "of 600 rows of all folds" in (output / "report.html").read_text()

"""The metrics: literal numbers, and a slow implementation of their definitions."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace
from typing import Any
from unittest.mock import ANY

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charseq.measures.baseline import Baseline, NgramBaseline
from charseq.measures.metrics import (
    Confusion,
    Evaluation,
    LabelScore,
    LengthScore,
    MetricsAccumulator,
    wilson_interval,
    worst_labels,
)
from charseq.measures.reliability import ReliabilityBin
from charseq.measures.sureness import Answered, SetScore, Uncalibrated

pytestmark = pytest.mark.unit

# Stands for a float in a dataclass.
approx: Any = pytest.approx

NAMES = ("a", "b", "c", "d")
# Rows 0 and 1 are correct; in row 2 the label is third, in row 3 the last of four.
LABELS = np.array([0, 1, 0, 3])
PROBABILITIES = np.array(
    [
        [0.7, 0.1, 0.1, 0.1],
        [0.2, 0.5, 0.2, 0.1],
        [0.2, 0.45, 0.3, 0.05],
        [0.4, 0.3, 0.2, 0.1],
    ]
)
LENGTHS = np.array([1, 3, 3, 3])


def measure(labels, probabilities, lengths, cuts=()):
    """Measure rows that come in batches divided at `cuts`."""
    names = [str(number) for number in range(probabilities.shape[1])]
    accumulator = MetricsAccumulator(
        len(names), 3, np.bincount(labels, minlength=len(names)).tolist()
    )
    for batch in zip(
        *(np.split(one, cuts) for one in (labels, probabilities, lengths)), strict=True
    ):
        accumulator.add(*batch)
    return accumulator.evaluation("test", "ab", names)


def test_metrics_computed_by_hand():
    accumulator = MetricsAccumulator(4, max_length=3, train_counts=[9, 4, 0, 2])
    accumulator.add(LABELS[:3], PROBABILITIES[:3], LENGTHS[:3])
    accumulator.add(LABELS[3:], PROBABILITIES[3:], LENGTHS[3:])
    measured = accumulator.evaluation("test", "ab" * 32, NAMES)
    assert (measured.split, measured.fingerprint, measured.rows) == ("test", "ab" * 32, 4)
    # -(ln 0.7 + ln 0.5 + ln 0.2 + ln 0.1) / 4
    assert measured.loss == pytest.approx(1.24046, abs=1e-5)
    assert measured.accuracy == 0.5
    assert measured.top3_accuracy == 0.75
    # F1 of a, b, d; no row has c or is predicted as c.
    assert measured.macro_f1 == pytest.approx((1 / 2 + 2 / 3 + 0) / 3)
    # 0.4 and 0.45 share a bin, both wrong: 0.85; 0.5: 0.5; 0.7: 0.3; a quarter of their sum.
    assert measured.calibration_error == pytest.approx(0.4125)
    assert measured.labels == (
        LabelScore("a", 2, 0.5, 0.5, 0.5),
        LabelScore("b", 1, 0.5, 1.0, approx(2 / 3)),
        LabelScore("c", 0, 0.0, 0.0, 0.0),
        LabelScore("d", 1, 0.0, 0.0, 0.0),
    )
    assert measured.confusion == Confusion((0, 0, 1, 3), (0, 1, 1, 0), (1, 1, 1, 1))
    # -(2 ln(9.5 / 17) + ln(4.5 / 17) + ln(2.5 / 17)) / 4
    # a for every row: its F1 is 2 / 3, those of b and d are 0.
    assert measured.baseline == Baseline(
        approx(1.10248, abs=1e-5), 0.5, approx(2 / 9), approx(-0.8, abs=0.2), ANY
    )
    assert measured.trivial == (
        "beyond chance, its loss of 1.2405 is no better than 1.1025, that of the label shares alone"
    )
    # In two batches: 0.7 and 0.5 are right, 0.45 and 0.4 wrong.
    assert [point.accuracy for point in measured.answered if point.share in (0.5, 1.0)] == [
        1.0,
        0.5,
    ]
    assert measured.answered[-1] == Answered(1.0, 0.5, approx(0.4, abs=4e-3))
    assert measured.lengths == (LengthScore(1, 1, 1.0), LengthScore(3, 3, approx(1 / 3)))
    assert measured.reliability == (
        ReliabilityBin(5 / 15, 6 / 15, 1, 0.4, 0.0),
        ReliabilityBin(6 / 15, 7 / 15, 1, 0.45, 0.0),
        ReliabilityBin(7 / 15, 8 / 15, 1, 0.5, 1.0),
        ReliabilityBin(10 / 15, 11 / 15, 1, 0.7, 1.0),
    )


def test_of_equal_probabilities_the_lower_id_wins():
    measured = measure(np.arange(4), np.full((4, 4), 0.25), np.ones(4, np.int64))
    assert (measured.accuracy, measured.top3_accuracy) == (0.25, 0.75)


def test_a_probability_of_zero_has_a_finite_loss():
    measured = measure(np.array([1]), np.array([[1.0, 0.0]], np.float32), np.array([1]))
    assert measured.loss == pytest.approx(math.log(1e7))


def test_a_probability_just_above_one_is_in_the_last_bin():
    sure = np.array([[np.nextafter(np.float32(1), np.float32(2)), 0]], np.float32)
    assert measure(np.array([0]), sure, np.array([1])).reliability[0].upper == 1.0


@st.composite
def answers(draw):
    """Labels, probabilities with many ties, lengths, and where batches end."""
    rows, labels = draw(st.integers(1, 12)), draw(st.integers(2, 5))
    weights = draw(arrays.arrays(np.int64, (rows, labels), elements=st.integers(0, 3)))
    weights[weights.sum(axis=1) == 0] = 1
    probabilities = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    own = draw(arrays.arrays(np.int64, rows, elements=st.integers(0, labels - 1)))
    lengths = draw(arrays.arrays(np.int64, rows, elements=st.integers(1, 3)))
    return own, probabilities, lengths, sorted(draw(st.lists(st.integers(0, rows), max_size=3)))


def reference(labels, probabilities):
    """Loss, accuracy, top-3 accuracy, macro F1 and calibration error, row by row."""
    losses, ranks, pairs = [], [], []
    bins: dict[int, list[tuple[float, bool]]] = {}
    for label, row in zip(labels.tolist(), probabilities.tolist(), strict=True):
        order = sorted(range(len(row)), key=lambda one: (-row[one], one))
        losses.append(-math.log(max(row[label], 1e-7)))
        ranks.append(order.index(label))
        pairs.append((label, order[0]))
        place = next(number for number in range(1, 16) if max(row) <= number / 15)
        bins.setdefault(place, []).append((max(row), order[0] == label))
    scores = []
    for one in {label for pair in pairs for label in pair}:
        hits = sum(pair == (one, one) for pair in pairs)
        scores.append(2 * hits / sum((label == one) + (best == one) for label, best in pairs))
    gaps = [abs(sum(sure - right for sure, right in rows)) for rows in bins.values()]
    count = len(pairs)
    return (
        sum(losses) / count,
        sum(rank == 0 for rank in ranks) / count,
        sum(rank < 3 for rank in ranks) / count,
        sum(scores) / len(scores),
        sum(gaps) / count,
    )


@settings(deadline=None)
@given(answers())
def test_metrics_agree_with_their_definitions_however_rows_are_batched(drawn):
    labels, probabilities, lengths, cuts = drawn
    measured = measure(labels, probabilities, lengths, cuts)
    assert (
        measured.loss,
        measured.accuracy,
        measured.top3_accuracy,
        measured.macro_f1,
        measured.calibration_error,
    ) == pytest.approx(reference(labels, probabilities))
    right = probabilities.argmax(axis=1) == labels
    assert measured.lengths == tuple(
        LengthScore(length, int(chosen.sum()), approx(right[chosen].mean()))
        for length in (1, 2, 3)
        if (chosen := lengths == length).any()
    )
    cells = zip(*asdict(measured.confusion).values(), strict=True)
    pairs = list(zip(labels.tolist(), probabilities.argmax(axis=1).tolist(), strict=True))
    assert list(cells) == [(*pair, pairs.count(pair)) for pair in sorted(set(pairs))]


@given(answers())
def test_an_evaluation_is_read_back_from_json(drawn):
    measured = measure(*drawn)
    assert Evaluation.from_json(json.loads(json.dumps(asdict(measured)))) == measured
    beside = replace(measured, ngram_baseline=NgramBaseline(*range(7)), not_better="why")
    assert Evaluation.from_json(json.loads(json.dumps(asdict(beside)))) == beside
    uncalibrated, sets = Uncalibrated(1.5, 0.5, 0.25), (SetScore("lac", 0.9, 0.75, 1.5, (3, 0)),)
    calibrated = replace(measured, uncalibrated=uncalibrated, sets=sets)
    assert Evaluation.from_json(json.loads(json.dumps(asdict(calibrated)))) == calibrated


def test_an_evaluation_of_an_earlier_version_is_read():
    columns = {"label": [0, 0], "given": [0, 1], "rows": [5, 2]}
    assert Confusion.from_json(columns) == Confusion((0, 0), (0, 1), (5, 2))
    measured = measure(LABELS, PROBABILITIES, LENGTHS)
    content = json.loads(json.dumps(asdict(measured)))
    content["confusion"]["given"] = content["confusion"].pop("predicted")
    for name in ("baseline", "trivial", "ngram_baseline", "not_better"):
        del content[name]
    assert Evaluation.from_json(content) == replace(measured, baseline=None, trivial=None)


@pytest.mark.parametrize("content", [{"label": [0], "rows": [1]}, [], None])
def test_a_confusion_of_another_form_is_refused(content):
    with pytest.raises((KeyError, TypeError)):
        Confusion.from_json(content)


def test_the_wilson_interval_of_a_share():
    # Wilson's interval for 8 of 10, as statsmodels and R's binom give it.
    assert wilson_interval(0.8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert wilson_interval(1.0, 10) == pytest.approx((0.7225, 1.0), abs=1e-4)
    assert wilson_interval(0.0, 1)[0] == 0.0


def test_of_many_labels_the_worst_with_rows_are_returned():
    few = [LabelScore("a", 1, 0, 0, 0.5), LabelScore("b", 2, 0, 0, 0.9)]
    assert [one.label for one in worst_labels(few, 2)[0]] == ["b", "a"]
    many = [*few, LabelScore("c", 0, 0, 0, 0), LabelScore("d", 3, 0, 0, 0.5)]
    worst, left_out = worst_labels(many, 2)
    assert [one.label for one in worst] == ["d", "a"]
    assert left_out == 2

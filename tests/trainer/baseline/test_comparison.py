"""A model beside the baseline, on the same rows."""

from __future__ import annotations

import math

import numpy as np
import pytest

from charseq.measures.metrics import Evaluation, MetricsAccumulator
from trainer.baseline.comparison import NgramAccumulator
from trainer.baseline.linear import LinearModel
from trainer.baseline.ngrams import BUCKETS, distinct_ngrams

pytestmark = pytest.mark.unit


def evaluate(of_label: float, rows: int) -> Evaluation:
    """A model that gives each row's label a probability, beside one that has label 1 for id 2."""
    vectors = np.zeros((BUCKETS, 2), np.float32)
    one, other = (distinct_ngrams(np.array([row]), np.array([2])) for row in ([1, 2], [1, 3]))
    # One n-gram over the root of their number: a score of ln 9.
    bucket = np.setdiff1d(one.buckets, other.buckets)[0]
    vectors[bucket, 1] = math.log(9) * math.sqrt(one.counts[0])
    baseline = LinearModel(vectors, np.eye(2, dtype=np.float32), np.zeros(2, np.float32))
    metrics = MetricsAccumulator(2, 2, [5, 5])
    beside = NgramAccumulator(baseline, 2, [5, 5])
    labels = np.arange(rows) % 2
    ids = np.where(labels[:, np.newaxis] == 1, [[1, 2]], [[1, 3]])
    lengths = np.full(rows, 2)
    probabilities = np.where(np.eye(2)[labels] == 1, of_label, 1 - of_label)
    for part in np.split(np.arange(rows), [3]):
        metrics.add(labels[part], probabilities[part], lengths[part])
        beside.add(ids[part], labels[part], probabilities[part], lengths[part])
    return beside.add_to(metrics.evaluation("test", "", ("x", "y")))


def test_scores_and_intervals_computed_by_hand() -> None:
    evaluation = evaluate(0.99, 400)
    baseline = evaluation.ngram_baseline
    assert baseline is not None
    # Label 1 has a probability of 0.9, label 0 one of 1/2, of which the lower id wins.
    assert (baseline.accuracy, baseline.macro_f1) == (1.0, 1.0)
    assert baseline.loss == pytest.approx(-(math.log(0.9) + math.log(0.5)) / 2)
    gain = math.log(0.99) + baseline.loss
    assert 0 < baseline.loss_gain_low < gain < baseline.loss_gain_high < 2 * gain
    assert (baseline.accuracy_gain_low, baseline.accuracy_gain_high) == (0, 0)
    assert evaluation.not_better is None


def test_a_worse_model_is_named() -> None:
    evaluation = evaluate(0.25, 400)
    baseline = evaluation.ngram_baseline
    assert baseline is not None
    assert (baseline.accuracy_gain_low, baseline.accuracy_gain_high) == (-1, -1)
    assert baseline.loss_gain_high < 0
    assert evaluation.not_better == (
        "beyond chance, its accuracy of 0.0000 is worse than 1.0000 and its loss of 1.3863 is "
        "worse than 0.3993"
    )

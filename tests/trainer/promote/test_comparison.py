from __future__ import annotations

import numpy as np
import pytest

from charseq.measures.metrics import MetricsAccumulator
from trainer.promote.comparison import Comparison, comparability_warnings, scores_of

pytestmark = pytest.mark.unit

MEASURED_ON = {"alphabet": ["A", "B", "C"], "max_length": 6}
OTHER_SPLIT = (
    "was trained on a dataset of another --seed, --split or --max-length, and may have seen rows "
    "of this split"
)


@pytest.mark.parametrize(
    ("changes", "warnings"),
    [
        ({}, []),
        ({"alphabet": ["A", "Q", "R"]}, ["knows 2 characters that the records have as unknown"]),
        ({"max_length": 9}, ["reads 9 characters, but the records hold 6", OTHER_SPLIT]),
        ({"max_length": 5}, [OTHER_SPLIT]),
        ({"options": {"seed": 7}}, [OTHER_SPLIT]),
        (
            {"options": {"lowercase": True}},
            [
                "was trained on a dataset of another --normalize, --lowercase or --strip: the "
                "records hold other text than it knows, or it may have seen rows of this split"
            ],
        ),
        ({"options": {"normalize": "none", "lowercase": False, "strip": False}}, []),
    ],
)
def test_what_limits_the_comparability_is_named(changes, warnings):
    trained_on = {"alphabet": ["C", "B"], "max_length": 6, **changes}
    assert comparability_warnings(trained_on, MEASURED_ON) == warnings


def test_the_scores_that_decide_are_shown():
    first = Comparison("data", "ab", "test", {"accuracy": 0.75, "loss": 0.5}, None)
    assert first.format("accuracy", "models/0") == "accuracy 0.750000"
    second = Comparison("data", "ab", "test", {"accuracy": 0.75, "loss": 0.5}, {"loss": 0.625})
    assert second.format("loss", "models/1") == "loss 0.500000, models/1 has 0.625000"


def test_scores_by_weight_are_there_if_rows_have_weights():
    labels, probabilities = np.array([0, 1]), np.array([[0.5, 0.5], [0.75, 0.25]])
    plain, weighted = (MetricsAccumulator(2, 1, [1, 1]) for _ in range(2))
    plain.add(labels, probabilities, np.ones(2, np.int64))
    weighted.add(labels, probabilities, np.ones(2, np.int64), np.array([3.0, 1.0]))
    without, by_weight = (
        scores_of(each.evaluation("test", "ab", ["x", "y"])) for each in (plain, weighted)
    )
    assert list(without) == [
        *("rows", "accuracy", "top3_accuracy", "macro_f1", "loss", "calibration_error")
    ]
    assert (by_weight["accuracy"], by_weight["weighted_accuracy"]) == (0.5, 0.75)
    # -(3 ln 0.5 + ln 0.25) / 4; the F1 of x 6 / 7, and 0 of y
    assert by_weight["weighted_loss"] == pytest.approx(0.86643, abs=1e-5)
    assert by_weight["weighted_macro_f1"] == pytest.approx(3 / 7)

from __future__ import annotations

import pytest

from trainer.promote.comparison import Comparison, comparability_warnings

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

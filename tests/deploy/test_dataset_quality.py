"""The gate of deploy/airflow, which needs nothing of Airflow."""

from __future__ import annotations

from typing import Any

import pytest

from deploy.airflow.charseq_quality import problems

pytestmark = pytest.mark.unit

MANIFEST = {
    "counts": {"read": 1000, "train": 700, "rejected": 20, "truncated": 100},
    "labels": ["x", "y"],
    "label_counts": {"train": {"x": 400, "y": 300}, "test": {"x": 2, "y": 3}},
}
LIMITS: dict[str, Any] = {
    "min_train_rows": 700,
    "min_rows_of_label": 2,
    "max_rejected_fraction": 0.02,
    "max_truncated_fraction": 0.1,
}


def test_at_its_limits_a_dataset_is_good() -> None:
    assert problems(MANIFEST, **LIMITS) == []


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        ({"min_train_rows": 701}, "train has 700 rows, expected 701 or more"),
        (
            {"max_rejected_fraction": 0.019},
            "20 of 1000 rows are rejected: 2.00%, expected 1.90% or less",
        ),
        (
            {"max_truncated_fraction": 0.05},
            "100 of 1000 rows are truncated: 10.00%, expected 5.00% or less",
        ),
        ({"min_rows_of_label": 3}, "test has fewer than 3 rows of 'x' (2)"),
    ],
)
def test_each_limit_is_looked_at(limit: dict[str, Any], said: str) -> None:
    assert problems(MANIFEST, **{**LIMITS, **limit}) == [said]


def test_labels_that_a_split_lacks() -> None:
    labels = list("abcdefg")
    manifest = {**MANIFEST, "labels": labels, "label_counts": {"test": {"a": 2, "b": 1}}}
    assert problems(manifest, **LIMITS) == [
        "test has fewer than 2 rows of 'b' (1), 'c' (0), 'd' (0), 'e' (0), 'f' (0) and 1 more"
    ]

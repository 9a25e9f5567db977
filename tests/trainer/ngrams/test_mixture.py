"""The choice of the experts' weights."""

from __future__ import annotations

import numpy as np
import pytest

from trainer.ngrams.mixture import BAG_WEIGHTS, choose_bag_weight

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(("rows", "weight"), [(0, 0.5), (10, 0.65), (30, 0.7), (100_000, 0.9)])
def test_few_rows_move_the_weight_little(rows: int, weight: float) -> None:
    """The loss of a row is lowest at 0.9."""
    losses = rows * (BAG_WEIGHTS.astype(float) - 0.9) ** 2
    assert choose_bag_weight(losses) == pytest.approx(weight, abs=1e-6)


def test_equal_losses_leave_both_experts_the_same() -> None:
    assert choose_bag_weight(np.zeros(19)) == 0.5

"""What benchmarks.sure makes of what it measures."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.sure.calibration import Measured, coverage_cells, sureness_cells
from benchmarks.sure.strangeness import area_under_curve

pytestmark = pytest.mark.unit

AFTER = np.array([[0.75, 0.25], [0.4, 0.6]])
FOLD = Measured(
    temperature=2.0,
    labels=np.array([0, 0]),
    before=np.array([[0.9, 0.1], [0.3, 0.7]]),
    after=AFTER,
    sizes={("lac", 0.8): np.array([1, 1]), ("lac", 0.9): np.array([1, 2])}
    | {("lac", 0.95): np.array([2, 2])},
)


def test_the_area_is_the_share_of_pairs_in_the_right_order() -> None:
    usual, strange = np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0])
    # 2 is above 1, and equal to 2; 4 is above all three.
    assert area_under_curve(usual, strange) == pytest.approx((1.5 + 3) / 6)


def test_losses_and_errors_of_all_folds_together() -> None:
    loss_before, loss_after = -np.log([0.9, 0.3]).mean(), -np.log([0.75, 0.4]).mean()
    other = FOLD._replace(temperature=1.5)
    assert sureness_cells([FOLD, other]) == [
        "4",
        "1.50 to 2.00",
        f"{loss_before:.4f} to {loss_after:.4f}",
        # Half of the rows are sure by 0.9 and right, half by 0.7 and wrong; then by 0.75 and 0.6.
        f"{50 * (0.1 + 0.7):.2f} to {50 * (0.25 + 0.6):.2f}",
    ]


def test_coverage_and_mean_size_of_sets() -> None:
    assert coverage_cells([FOLD], "lac") == ["50.0 % in 1.00", "100.0 % in 1.50", "100.0 % in 2.00"]

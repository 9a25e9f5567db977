"""By how much a model is better than another one on the same rows, and whether beyond chance."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_REPLICATES = 1000
_INTERVAL = (0.025, 0.975)
_SEED = 0
# Gains of nearly the same size share a bin, 1,024 for each sign, each 2.4 % wider than the one
# before: so few that memory does not depend on the rows, and none holds gains of either sign.
_BINS = 1024
_SMALLEST, _LARGEST = 1e-9, 64.0


class GainAccumulator:
    """Gains on the rows so far: by how much the measure of a model is better on each row."""

    def __init__(self) -> None:
        # The rows and the summed gain of each bin.
        self._rows = np.zeros(2 * _BINS + 1, np.int64)
        self._gains = np.zeros(2 * _BINS + 1)

    def add(self, gains: Floats) -> None:
        """Add the gains of a batch, (batch,) float64; negative where the model is worse."""
        bins = _bin_of(gains)
        self._rows += np.bincount(bins, minlength=len(self._rows))
        self._gains += np.bincount(bins, gains, len(self._gains))

    def merge(self, other: GainAccumulator) -> None:
        """Add the gains of another accumulator."""
        self._rows += other._rows
        self._gains += other._gains

    def interval(self) -> tuple[float, float]:
        """Return the 95 % confidence interval of the mean gain, by a bootstrap over the rows.

        There must be a row. Rows are drawn again from the bins, each with the mean gain of its bin.
        """
        filled = self._rows > 0
        rows, total = self._rows[filled], int(self._rows.sum())
        random = np.random.default_rng(_SEED)
        drawn = random.multinomial(total, rows / total, _REPLICATES)
        means = drawn @ (self._gains[filled] / rows) / total
        low, high = np.quantile(means, _INTERVAL).tolist()
        return low, high


def _bin_of(gains: Floats) -> Ints:
    """Return the bin of each gain: its sign, and the logarithm of its size."""
    size = np.clip(np.abs(gains), _SMALLEST, _LARGEST) / _SMALLEST
    place = np.ceil(np.log(size) / math.log(_LARGEST / _SMALLEST) * (_BINS - 1)) + 1
    bins: Ints = (_BINS + np.sign(gains) * place).astype(np.int64)
    return bins

"""Marginal and fixed costs of a program, from a run on a tenth of the rows and one on all rows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.figures import Figure, growth
from benchmarks.measure import Cost


@dataclass(frozen=True)
class Round:
    """One contestant's two runs of a round, and what follows from them.

    Where a difference drowned in the machine's noise, what is made of it is NaN.
    """

    small: Cost
    whole: Cost
    small_rows: int
    whole_rows: int

    @property
    def whole_rate(self) -> float:
        """Rows a second of the whole run, start to end."""
        return self.whole_rows / self.whole.wall

    @property
    def marginal_rate(self) -> float:
        """Rows a second of the rows that the whole run has more."""
        return self._more_rows / self._more_wall

    @property
    def fixed_seconds(self) -> float:
        """What a run without rows would take."""
        return self.whole.wall - self.whole_rows / self.marginal_rate

    @property
    def marginal_cpu(self) -> float:
        """CPU seconds a row."""
        return self._more_cpu / self._more_rows

    @property
    def busy_cores(self) -> float:
        """CPU over wall seconds of the marginal part."""
        return self._more_cpu / self._more_wall

    @property
    def growth(self) -> float:
        """Bytes of peak memory a row."""
        return growth(self.small, self.whole, self._more_rows)

    @property
    def _more_rows(self) -> int:
        return self.whole_rows - self.small_rows

    @property
    def _more_wall(self) -> float:
        return _above_noise(self.whole.wall - self.small.wall)

    @property
    def _more_cpu(self) -> float:
        return _above_noise(self.whole.cpu - self.small.cpu)


def _above_noise(seconds: float) -> float:
    return seconds if seconds > 0 else math.nan


FIGURES: Mapping[str, tuple[Figure[Round], str]] = {
    "rows/s, whole run": (lambda one: one.whole_rate, ",.0f"),
    "rows/s, marginal": (lambda one: one.marginal_rate, ",.0f"),
    "fixed s": (lambda one: one.fixed_seconds, ".1f"),
    "CPU s": (lambda one: one.whole.cpu, ",.1f"),
    "CPU µs/row, marginal": (lambda one: one.marginal_cpu * 1e6, ",.1f"),
    "CPU/wall, marginal": (lambda one: one.busy_cores, ".2f"),
    "peak MB": (lambda one: one.whole.peak / 1e6, ",.0f"),
    "bytes/row": (lambda one: one.growth, ",.0f"),
}
RATIOS: Mapping[str, Figure[Round]] = {
    "rows/s, whole run": lambda one: one.whole_rate,
    "rows/s, marginal": lambda one: one.marginal_rate,
    "rows per CPU second, marginal": lambda one: 1 / one.marginal_cpu,
}

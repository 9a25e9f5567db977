"""What steps measure: sums over rows, and the means of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True)
class Score:
    """Mean loss, in nats, and accuracy, 0 to 1, over some rows, by their weights."""

    loss: float
    accuracy: float

    def __str__(self) -> str:
        return f"loss {self.loss:.4f}, accuracy {self.accuracy:.4f}"


class MetricSums(NamedTuple):
    """Loss and correct answers, each summed over `rows` rows; seconds of waiting for them.

    Where records have weights, each row counts as its weight, with a mean of 1 over the split.
    """

    loss: float = 0.0
    correct: float = 0.0
    rows: float = 0.0
    waited: float = 0.0

    def plus(self, *more: float) -> MetricSums:
        """Return these sums plus others, which come in the order of the fields."""
        return MetricSums(*(mine + other for mine, other in zip(self, more, strict=True)))

    def since(self, before: MetricSums) -> MetricSums:
        """Return what was added to `before` to make these sums."""
        return MetricSums(*(mine - other for mine, other in zip(self, before, strict=True)))

    def score(self) -> Score:
        """Return the means; 0 of rows that weigh nothing beside others."""
        rows = self.rows or 1.0
        return Score(self.loss / rows, self.correct / rows)


NO_METRICS = MetricSums()

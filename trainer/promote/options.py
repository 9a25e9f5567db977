"""The rules of a promotion, and the metrics that can decide it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from charseq.errors import UsageError

# Fields of `Evaluation`, and whether a higher value is better.
METRICS = {
    "accuracy": True,
    "top3_accuracy": True,
    "macro_f1": True,
    "loss": False,
    "calibration_error": False,
}

Scores = Mapping[str, float]


@dataclass(frozen=True)
class PromotionRules:
    """When a candidate is promoted, and what stays then; each default stands only here.

    data: the dataset to measure on; None is the one that the candidate was trained on.

    Raises:
        UsageError: a value is outside what its flag takes.
    """

    data: str | None = None
    metric: str = "accuracy"
    min_improvement: float = 0.0
    keep: int = 5

    def __post_init__(self) -> None:
        if not 0 <= self.min_improvement < float("inf"):
            raise UsageError(
                f"--min-improvement: got {self.min_improvement}, expected 0 or a number above"
            )
        if self.keep < 1:
            raise UsageError(f"--keep: got {self.keep}, expected 1 or more")

    def prefer(self, candidate: Scores, current: Scores | None) -> bool:
        """Return whether the candidate is better by more than `min_improvement`."""
        if current is None:
            return True
        gain = candidate[self.metric] - current[self.metric]
        return (gain if METRICS[self.metric] else -gain) > self.min_improvement

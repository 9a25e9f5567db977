"""The mean of a score over folds, and a confidence interval of it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple

_LEVEL = 0.975  # both sides of a 95 % interval
_STEPS = 2000


class Summary(NamedTuple):
    """A score over folds: mean, sample standard deviation, and the bounds of a 95 % interval."""

    mean: float
    deviation: float
    low: float
    high: float


def summarize_folds(scores: Sequence[float], test_to_train: float) -> Summary:
    """Return mean, deviation and interval of the scores of two or more folds.

    The interval is the corrected one of Nadeau and Bengio, "Inference for the Generalization Error"
    (2003): the models share train rows, so their scores vary together. The variance of the mean is
    s² (1/k + test rows / train rows) instead of s²/k.

    Args:
        scores: of each fold.
        test_to_train: test rows of a fold : its train rows.
    """
    mean, deviation = statistics.fmean(scores), statistics.stdev(scores)
    spread = deviation * math.sqrt(1 / len(scores) + test_to_train)
    half = student_quantile(len(scores) - 1) * spread
    return Summary(mean, deviation, mean - half, mean + half)


def student_quantile(degrees: int) -> float:
    """Return the 97.5 % quantile of Student's t distribution, to five digits."""
    low, high = 1.9, 13.0
    while high - low > 1e-7:
        middle = (low + high) / 2
        if _student_cdf(middle, degrees) < _LEVEL:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _student_cdf(t: float, degrees: int) -> float:
    """Return the probability of a value below t > 0, by Simpson's rule over the density."""
    scale = math.exp(math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2))
    scale /= math.sqrt(degrees * math.pi)
    width = t / _STEPS

    def density(x: float) -> float:
        return scale * math.pow(1 + x * x / degrees, -(degrees + 1) / 2)

    inner = math.fsum((4 if step % 2 else 2) * density(step * width) for step in range(1, _STEPS))
    return 0.5 + width / 3 * (density(0) + inner + density(t))

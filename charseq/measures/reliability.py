"""Whether a model is right as often as it is sure: losses, and accuracy by probability."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from charseq.measures.conformal import Probabilities
from charseq.measures.gains import Floats, Ints

RELIABILITY_BINS = 15
# Probabilities are clipped from below, as Keras's loss does: no single row makes it infinite.
_EPSILON = 1e-7
_UPPER_BOUNDS = np.arange(1, RELIABILITY_BINS + 1) / RELIABILITY_BINS


@dataclass(frozen=True)
class ReliabilityBin:
    """The rows whose highest probability is above `lower` and at most `upper`.

    confidence: the mean of that probability.
    """

    lower: float
    upper: float
    rows: int
    confidence: float
    accuracy: float


def measure_calibration(probabilities: Probabilities, labels: Ints) -> float:
    """Return the calibration error, as in `Evaluation`, of (rows, labels) with labels (rows,)."""
    hits = probabilities.argmax(axis=1) == labels
    return calibration_error(reliability_bins(*sum_by_bin(probabilities, hits)), len(labels))


def losses_of(of_label: Probabilities) -> Floats:
    """Return the losses, in nats, of the probabilities of rows' own labels, (batch,) each."""
    losses: Floats = -np.log(np.maximum(of_label, _EPSILON), dtype=np.float64)
    return losses


def count_hits(places: Ints, size: int, hits: npt.NDArray[np.bool_]) -> Floats:
    """Return the rows at each place and the hits among them, (2, size) float64."""
    return np.stack([np.bincount(places, weights, size) for weights in (None, hits)])


def sum_by_bin(probabilities: Probabilities, hits: npt.NDArray[np.bool_]) -> Floats:
    """Return rows, hits and summed confidence of each reliability bin, (3, 15) float64."""
    highest = probabilities.max(axis=1).astype(np.float64)
    bins = _bin_of(highest)
    confidence = np.bincount(bins, highest, RELIABILITY_BINS)
    return np.vstack([count_hits(bins, RELIABILITY_BINS, hits), confidence])


def _bin_of(highest: Floats) -> Ints:
    """Return the bin of each probability; a float32 may be just above 1 and is in the last."""
    return np.minimum(np.searchsorted(_UPPER_BOUNDS, highest), RELIABILITY_BINS - 1)


def reliability_bins(rows: Floats, hits: Floats, confidence: Floats) -> tuple[ReliabilityBin, ...]:
    """Return the bins that hold a row; each argument is (15,) float64, a sum by bin."""
    lower = (0.0, *_UPPER_BOUNDS[:-1].tolist())
    columns = (lower, _UPPER_BOUNDS.tolist(), rows.tolist(), hits.tolist(), confidence.tolist())
    return tuple(
        ReliabilityBin(low, high, int(count), confidence=total / count, accuracy=correct / count)
        for low, high, count, correct, total in zip(*columns, strict=True)
        if count
    )


def calibration_error(bins: Sequence[ReliabilityBin], rows: int) -> float:
    """Return the mean over `rows` rows of |accuracy - confidence| of the row's bin."""
    return math.fsum(item.rows * abs(item.accuracy - item.confidence) for item in bins) / rows

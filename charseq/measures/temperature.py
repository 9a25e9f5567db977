"""Temperature scaling: probabilities as sure as they are right (Guo et al., 2017).

The probabilities p of a row become p^(1/T), normalised. The most probable label stays the same;
above 1 a temperature T makes the answers less sure, below 1 surer.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from charseq.measures.gains import Floats, Ints

# float32 softmaxes give zeros below some 1e-38.
_TINY = 1e-30
# Nats that an inverse temperature costs which is 1 away from 1, so that few rows decide little.
_PRIOR = 2.0
# Of the inverse temperature; rows that are all right, and all sure, would have none.
_SMALLEST, _LARGEST = 0.05, 20.0
_MOST_STEPS = 50
_SHORT = 1e-7


def fit_temperature(
    probabilities: npt.NDArray[np.floating], labels: Ints, weights: Floats | None = None
) -> float:
    """Return the temperature of the lowest log loss, by Newton's method on its inverse.

    Args:
        probabilities: (rows, labels), each row sums to 1.
        labels: (rows,) int64, the ids of the rows' labels.
        weights: (rows,) float64, how much each row counts; None: all the same.
    """
    logarithms = _log(probabilities)
    of_label = logarithms[np.arange(len(labels)), labels]
    weight = np.ones(len(labels)) if weights is None else weights
    inverse = 1.0
    for _ in range(_MOST_STEPS):
        scaled = _softmax(inverse * logarithms)
        mean = (scaled * logarithms).sum(axis=1)
        variance = (scaled * logarithms**2).sum(axis=1) - mean**2
        gradient = weight @ (mean - of_label) + 2 * _PRIOR * (inverse - 1)
        curvature = weight @ variance + 2 * _PRIOR
        # Half a step at most: where the answers are nearly certain, the curvature hardly tells.
        step = np.clip(gradient / curvature, -inverse, inverse / 2)
        inverse = float(np.clip(inverse - step, _SMALLEST, _LARGEST))
        if abs(step) < _SHORT:
            break
    return 1 / inverse


def rescale(probabilities: npt.NDArray[np.floating], temperature: float) -> Floats:
    """Return p^(1 / temperature), normalised: (rows, labels) float64.

    A temperature of 1/T undoes one of T.
    """
    return _softmax(_log(probabilities) / temperature)


def _log(probabilities: npt.NDArray[np.floating]) -> Floats:
    logarithms: Floats = np.log(np.maximum(probabilities, _TINY), dtype=np.float64)
    return logarithms


def _softmax(scores: Floats) -> Floats:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares: Floats = powers / powers.sum(axis=1, keepdims=True)
    return shares

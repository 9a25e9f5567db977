"""How much each expert counts in their common answer."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from trainer.ngrams.experts import FIRST_MIXTURE

Floats64 = npt.NDArray[np.float64]

# Nats that a weight costs which is 1 away from its first value, so that few rows decide little.
_PRIOR = 10.0
# Farther from the weights than this, the loss is not what its derivatives tell.
_LONGEST_STEP = 0.5


def improve_mixture(weights: Floats64, gradient: Floats64, hessian: Floats64) -> Floats64:
    """Return weights of a lower loss, none of them negative, by a step of Newton's method.

    Args:
        weights: (experts,).
        gradient: (experts,), of the loss by the weights, in nats, summed over the rows.
        hessian: (experts, experts), its second derivatives.
    """
    gradient = gradient + 2 * _PRIOR * (weights - FIRST_MIXTURE)
    hessian = hessian + 2 * _PRIOR * np.eye(len(weights))
    free = np.flatnonzero((weights > 0) | (gradient < 0))
    step = np.zeros_like(weights)
    step[free] = np.linalg.solve(hessian[np.ix_(free, free)], gradient[free])
    return np.maximum(weights - np.clip(step, -_LONGEST_STEP, _LONGEST_STEP), 0)

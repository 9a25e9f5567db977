"""How much each expert counts in their common answer."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

# Weights of the bag; that of the LSTM is the rest.
BAG_WEIGHTS = np.linspace(0.05, 0.95, 19).astype(np.float32)
# Nats that keep the weight near one half, so that few rows decide little.
_PRIOR = 5.0


def choose_bag_weight(losses: npt.NDArray[np.float64]) -> float:
    """Return the weight of `BAG_WEIGHTS` with the lowest loss, drawn towards one half.

    losses: summed over the validation rows, in nats, for each of `BAG_WEIGHTS`.
    """
    prior = -_PRIOR * np.log(4 * BAG_WEIGHTS * (1 - BAG_WEIGHTS))
    return float(BAG_WEIGHTS[np.argmin(losses + prior)])

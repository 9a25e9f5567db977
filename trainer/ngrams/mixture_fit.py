"""The choice of the experts' weights on validation rows."""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

from trainer.data.batches import Batches
from trainer.ngrams.mixture import improve_mixture
from trainer.ngrams.replica import MIXTURE_SUMS, NgramReplica
from trainer.steps.steps import distribute, repeat_step

# Enough to choose three numbers by; each validation reads them some times more.
_ROWS = 8_192
_MOST_STEPS = 3
# A step this short is the last one.
_SHORT = 0.005


class MixtureFit:
    """The choice of the experts' weights, before each validation.

    Without a validation split they stay as they began.
    """

    def __init__(self, strategy: tf.distribute.Strategy, replica: NgramReplica) -> None:
        self._strategy = strategy
        self._replica = replica
        self._sum = repeat_step(strategy, replica.mixture_derivatives, MIXTURE_SUMS)

    def __call__(self, batches: Batches) -> None:
        """Set the weights to those of the lowest loss on the first validation rows."""
        count = min(batches.count("validation"), math.ceil(_ROWS / batches.batch_size))
        if not count:
            return
        first = batches.evaluation("validation").take(count)
        mixture = self._replica.model.experts.mixture
        for _ in range(_MOST_STEPS):
            sums, _ = self._sum(
                distribute(self._strategy, first, self._replica.shares), tf.constant(count)
            )
            before = mixture.numpy().astype(np.float64)
            gradient, *hessian = np.split(sums.numpy().astype(np.float64), 1 + len(before))
            after = improve_mixture(before, gradient, np.stack(hessian))
            mixture.assign(after)
            if np.abs(after - before).max() < _SHORT:
                return

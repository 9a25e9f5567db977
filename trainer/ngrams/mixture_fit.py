"""The choice of the experts' weights on validation rows."""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

from trainer.data.batches import Batches
from trainer.ngrams.mixture import BAG_WEIGHTS, choose_bag_weight
from trainer.ngrams.replica import NgramReplica
from trainer.steps.steps import distribute, repeat_step

# Enough to choose a number by; each validation reads them once more.
_ROWS = 16_384


class MixtureFit:
    """The choice of the experts' weights, before each validation.

    Without a validation split, both experts count the same.
    """

    def __init__(self, strategy: tf.distribute.Strategy, replica: NgramReplica) -> None:
        self._strategy = strategy
        self._replica = replica
        self._sum = repeat_step(strategy, replica.mixture_losses, len(BAG_WEIGHTS))

    def __call__(self, batches: Batches) -> None:
        """Set the weights to those of the lowest loss on the first validation rows."""
        count = min(batches.count("validation"), math.ceil(_ROWS / batches.batch_size))
        if not count:
            return
        first = batches.evaluation("validation").take(count)
        losses, _ = self._sum(distribute(self._strategy, first), tf.constant(count))
        bag = choose_bag_weight(losses.numpy().astype(np.float64))
        self._replica.model.experts.mixture.assign([bag, 1 - bag])

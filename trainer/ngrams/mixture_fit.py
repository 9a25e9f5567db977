"""The choice of the experts' weights on validation rows."""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

from trainer.data.batches import Batches
from trainer.ngrams.mixture import choose_bag_weight
from trainer.ngrams.replica import NgramReplica
from trainer.steps.steps import split_over_replicas

# Enough to choose a number by; each validation reads them once more.
_ROWS = 16_384


class MixtureFit:
    """The choice of the experts' weights, before each validation.

    Without a validation split, both experts count the same.
    """

    def __init__(self, strategy: tf.distribute.Strategy, replica: NgramReplica) -> None:
        self._strategy = strategy
        self._replica = replica
        self._sums = tf.function(self._sum_losses)

    def __call__(self, batches: Batches) -> None:
        """Set the weights to those of the lowest loss on the first validation rows."""
        count = min(batches.count("validation"), math.ceil(_ROWS / batches.batch_size))
        if not count:
            return
        first = batches.evaluation("validation").take(count)
        distributed = self._strategy.distribute_datasets_from_function(
            lambda context: split_over_replicas(first, context)
        )
        losses = sum(self._sums(*batch).numpy().astype(np.float64) for batch in distributed)
        bag = choose_bag_weight(losses)
        self._replica.model.experts.mixture.assign([bag, 1 - bag])

    def _sum_losses(self, *batch: tf.Tensor) -> tf.Tensor:
        on_replicas = self._strategy.run(self._replica.mixture_losses, args=batch)
        return self._strategy.reduce(tf.distribute.ReduceOp.SUM, on_replicas, axis=None)

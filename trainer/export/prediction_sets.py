"""Sets of labels in a graph, as `charseq.measures.conformal` describes them."""

from __future__ import annotations

import math
from collections.abc import Callable

import tensorflow as tf

from charseq.measures.conformal import RANK_TOLERANCE
from charseq.measures.set_methods import APS, LAC
from charseq.models.calibration import Calibration
from charseq.models.saved_model import (
    COVERAGE,
    LABELS,
    PREDICT_SET,
    PREDICT_SET_ADAPTIVE,
    PROBABILITIES,
    SEQUENCE,
    SIZE,
)

_INPUTS = [
    tf.TensorSpec([None], tf.string, name=SEQUENCE),
    tf.TensorSpec([], tf.float32, name=COVERAGE),
]


class PredictionSets(tf.Module):
    """The signatures that answer with sets of labels.

    Args:
        calibration: of the model, with the scores of validation rows.
        labels: (labels,) string.
        classify: from texts (batch,) string to probabilities (batch, labels) float32.
    """

    def __init__(
        self,
        calibration: Calibration,
        labels: tf.Tensor,
        classify: Callable[[tf.Tensor], tf.Tensor],
    ) -> None:
        super().__init__()
        self._scores = {
            method: tf.constant(scores, tf.float32) for method, scores in calibration.scores.items()
        }
        self._labels, self._classify = labels, classify

    def signatures(self) -> dict[str, tf.types.experimental.PolymorphicFunction]:
        """Return the signatures by name; see `charseq.models.saved_model`."""
        return {PREDICT_SET: self.predict_set, PREDICT_SET_ADAPTIVE: self.predict_set_adaptive}

    @tf.function(input_signature=_INPUTS, autograph=False)
    def predict_set(self, sequence: tf.Tensor, coverage: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return the smallest sets of labels that hold the right one as often as wanted.

        Args:
            sequence: (batch,) string.
            coverage: () float32, how often, 0 to 1.

        Returns:
            `labels` (batch, labels) string, the most probable first, their `probabilities`
            (batch, labels) float32, and `size` (batch,) int32: the first so many are the set.
        """
        return self._answer(LAC, sequence, coverage)

    @tf.function(input_signature=_INPUTS, autograph=False)
    def predict_set_adaptive(
        self, sequence: tf.Tensor, coverage: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Return the same for sets whose coverage differs less between easy and hard texts."""
        return self._answer(APS, sequence, coverage)

    def _answer(
        self, method: str, sequence: tf.Tensor, coverage: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        best = tf.math.top_k(self._classify(sequence), tf.size(self._labels))
        threshold = find_threshold(self._scores[method], coverage)
        return {
            LABELS: tf.gather(self._labels, best.indices),
            PROBABILITIES: best.values,
            SIZE: count_in_sets(best.values, threshold, method),
        }


def find_threshold(scores: tf.Tensor, coverage: tf.Tensor) -> tf.Tensor:
    """Return the highest score of a label in a set, () float32; infinity for all labels.

    Args:
        scores: (rows,) float32, ascending.
        coverage: () float32, the share of sets that are to hold the right label.
    """
    rows = tf.size(scores)
    exact = tf.cast(rows + 1, tf.float64) * tf.cast(coverage, tf.float64)
    rank = tf.maximum(tf.cast(tf.math.ceil(exact - RANK_TOLERANCE), tf.int32), 1)
    return tf.pad(scores, [[0, 1]], constant_values=math.inf)[tf.minimum(rank, rows + 1) - 1]


def count_in_sets(falling: tf.Tensor, threshold: tf.Tensor, method: str) -> tf.Tensor:
    """Return how many labels are in each row's set, (batch,) int32, 1 or more.

    Args:
        falling: (batch, labels) float32, their probabilities, the highest first.
        threshold: () float32.
        method: `lac` or `aps`.
    """
    scores = 1 - falling if method == LAC else tf.cumsum(falling, axis=1) - falling / 2
    return tf.maximum(tf.reduce_sum(tf.cast(scores <= threshold, tf.int32), axis=1), 1)

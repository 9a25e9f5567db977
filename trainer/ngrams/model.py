"""A model of n-grams while it is trained: its experts, and what it knows of its n-grams."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from trainer.ngrams.counts import NgramCounts
from trainer.ngrams.experts import Experts, Inputs, Size
from trainer.ngrams.hashing import hash_ngrams, mark_ends
from trainer.ngrams.language_models import Statistics
from trainer.ngrams.table import NgramTable


class NgramModel:
    """The experts, the table of n-grams and their counts.

    Args:
        size: of the model.
        counts: of the train rows.
        label_shares: the probability of each label before anything is read, in the order of ids.
    """

    def __init__(self, size: Size, counts: NgramCounts, label_shares: npt.ArrayLike) -> None:
        self.size = size
        self.experts = Experts(size)
        self.table = NgramTable(size.num_buckets, size.table_widths)
        self.counts = counts
        self.log_shares = np.log(np.asarray(label_shares, np.float32))
        self.places = _constant(counts.places, "ngram_places")
        self._statistics = [
            _constant(values, name)
            for values, name in (
                (counts.codes, "ngram_codes"),
                (counts.only_labels, "ngram_only_labels"),
                (counts.symbols, "symbols"),
                (self.log_shares, "log_shares"),
            )
        ]

    def statistics(self) -> Statistics:
        """Return what the language models are made of, as tensors of this replica."""
        return Statistics(*(tf.convert_to_tensor(each) for each in self._statistics))


def _constant(values: np.ndarray[Any, Any], name: str) -> tf.Variable:
    return tf.Variable(values, trainable=False, name=name)


def hash_sequences(size: Size, ids: tf.Tensor, length: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return sequences with their marks, and the buckets of their n-grams.

    Args:
        size: of the model.
        ids: (rows, timesteps) int64.
        length: (rows,) int64.

    Returns:
        (rows, timesteps + 2) int32 and (rows, timesteps + 2, ngram_max) int32.
    """
    marked = mark_ends(ids, length, size.unknown_id)
    return marked, hash_ngrams(marked, size.ngram_max, size.num_buckets)


def count_ngrams(buckets: tf.Tensor) -> tf.Tensor:
    """Return the number of n-grams of each row, (rows,) float32."""
    return tf.reduce_sum(tf.cast(buckets > 0, tf.float32), axis=[1, 2])


def make_inputs(
    size: Size, marked: tf.Tensor, length: tf.Tensor, vectors: tf.Tensor, count: tf.Tensor
) -> Inputs:
    """Return what the experts answer from.

    Args:
        size: of the model.
        marked: (rows, positions) int32.
        length: (rows,) int64, without marks.
        vectors: (rows, positions, bag_dim + lstm_dim) float32, summed over the n-grams of a
            position.
        count: (rows,) float32, the n-grams of each row.
    """
    bag = vectors[:, :, : size.bag_dim]
    mean = tf.reduce_sum(bag, axis=1) / count[:, tf.newaxis]
    sums = vectors[:, :, size.bag_dim :]
    return Inputs(marked, tf.cast(length, tf.int32) + 2, mean, sums)

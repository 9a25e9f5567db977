"""A model of n-grams while it is trained: its experts, and what it knows of its n-grams."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from trainer.ngrams.counts import NgramCounts
from trainer.ngrams.experts import Experts, Inputs, Size
from trainer.ngrams.hashing import hash_ngrams, mark_ends
from trainer.ngrams.index import NgramIndex
from trainer.ngrams.language_models import Statistics
from trainer.ngrams.table import NgramTable


class Read(NamedTuple):
    """What the experts read of the n-grams of some rows.

    places: (rows, positions, sizes) int32, in the vectors. of_lstm: (rows, positions,
    sizes) float32, by what the vectors there are multiplied: 0 where there is no n-gram.
    bag_places, of_bag: the same for the bag, in another order; 0 also where an n-gram repeats.
    count: (rows,) float32, of the distinct n-grams.
    """

    places: tf.Tensor
    of_lstm: tf.Tensor
    bag_places: tf.Tensor
    of_bag: tf.Tensor
    count: tf.Tensor


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
        # No variables: a strategy would send them from worker to worker, and each counts itself.
        self.statistics = Statistics(
            NgramIndex(*(tf.constant(each) for each in counts.ngrams)),
            tf.constant(counts.codes),
            tf.constant(counts.few_labels),
            tf.constant(counts.few_codes),
            tf.constant(counts.symbols),
            tf.constant(self.log_shares),
        )


def hash_sequences(size: Size, ids: tf.Tensor, length: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return sequences with their marks, and the hashes of their n-grams.

    Args:
        size: of the model.
        ids: (rows, timesteps) int64.
        length: (rows,) int64.

    Returns:
        (rows, timesteps + 2) int32 and (rows, timesteps + 2, ngram_max) int32.
    """
    marked = mark_ends(ids, length, size.unknown_id)
    return marked, hash_ngrams(marked, size.ngram_max)


def order_distinct(values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the values of each row in an order that shows which are distinct.

    Values of n-grams of the same size are compared: of others they are equal by chance alone.

    Args:
        values: (rows, positions, sizes) int32, the same for equal n-grams.

    Returns:
        Both (rows, positions, sizes): the values, falling along the positions, and whether each is
        another than the one before.
    """
    ordered = tf.sort(tf.transpose(values, [0, 2, 1]), direction="DESCENDING")
    is_new = ordered[..., 1:] != ordered[..., :-1]
    is_new = tf.pad(is_new, [[0, 0], [0, 0], [1, 0]], constant_values=True)
    return tf.transpose(ordered, [0, 2, 1]), tf.transpose(is_new, [0, 2, 1])


def _sum_vectors(vectors: tf.Tensor, places: tf.Tensor, kept: tf.Tensor) -> tf.Tensor:
    """Return the sum of vectors at each position, (rows, positions, width) float32.

    Args:
        vectors: (count, width), of n-grams.
        places: (rows, positions, sizes) int32, of each n-gram in `vectors`.
        kept: (rows, positions, sizes) float32, by which each is multiplied.
    """
    found = tf.cast(tf.gather(vectors, places), tf.float32)
    return tf.reduce_sum(found * kept[..., tf.newaxis], axis=2)


def read_all(
    places: tf.Tensor, exists: tf.Tensor, bag_places: tf.Tensor, is_first: tf.Tensor
) -> Read:
    """Return what is read of some rows if no n-gram is left out.

    Args:
        places: as in `Read`.
        exists: (rows, positions, sizes) bool, whether there is an n-gram at each of `places`.
        bag_places: as in `Read`.
        is_first: likewise of `bag_places`, and whether it is no repetition.
    """
    of_bag = tf.cast(is_first, tf.float32)
    count = tf.reduce_sum(of_bag, axis=[1, 2])
    return Read(places, tf.cast(exists, tf.float32), bag_places, of_bag, count)


def make_inputs(
    marked: tf.Tensor, length: tf.Tensor, bag: tf.Tensor, lstm: tf.Tensor, read: Read
) -> Inputs:
    """Return what the experts answer from.

    Args:
        marked: (rows, positions) int32.
        length: (rows,) int64, without marks.
        bag: (count, bag_dim), the vectors that the bag reads.
        lstm: (count, lstms · lstm_dim), those that the LSTMs read.
        read: what is read of them.
    """
    total = tf.reduce_sum(_sum_vectors(bag, read.bag_places, read.of_bag), axis=1)
    sums = _sum_vectors(lstm, read.places, read.of_lstm)
    return Inputs(marked, tf.cast(length, tf.int32) + 2, total / read.count[:, tf.newaxis], sums)

"""The places of n-grams by their hashes.

An n-gram is found by its whole hash, of 32 bits, not by a bucket that others share. N-grams whose
hashes end with the same bits stand side by side, so that a graph finds them by gathering and
comparing alone.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

Int32s = npt.NDArray[np.int32]

# So many n-grams are compared with one. There is a slot for each n-gram, so that more than these
# share a slot once in a million times; the last of them are not found then.
COMPARED = 8


class NgramIndex(NamedTuple):
    """Where n-grams are found, as arrays of int32 of NumPy or TensorFlow.

    starts: (slots,), where the n-grams of each slot begin in the others; slots are a power of two.
    keys: (count + 8,), the hashes of the n-grams, slot by slot. places: (count + 8,), those of
    these n-grams, from 1; both end with zeros.
    """

    starts: Int32s | tf.Tensor
    keys: Int32s | tf.Tensor
    places: Int32s | tf.Tensor


def index_ngrams(hashes: Int32s) -> NgramIndex:
    """Return an index of n-grams, whose places are 1, 2, … in the order of `hashes`.

    Args:
        hashes: (count,) int32, distinct, none of them 0.
    """
    num_slots = 1 << (len(hashes) - 1).bit_length()
    slots = hashes & np.int32(num_slots - 1)
    order = np.argsort(slots, kind="stable").astype(np.int32)
    starts = np.searchsorted(slots[order], np.arange(num_slots)).astype(np.int32)
    return NgramIndex(
        starts, np.pad(hashes[order], (0, COMPARED)), np.pad(order + 1, (0, COMPARED))
    )


def find_ngrams(index: NgramIndex, hashes: tf.Tensor) -> tf.Tensor:
    """Return the places of n-grams by their hashes, int32 of any shape; 0 for what is not there."""
    starts = tf.gather(index.starts, hashes & (tf.shape(index.starts)[0] - 1))
    compared = starts[..., tf.newaxis] + tf.range(COMPARED)
    is_key = tf.gather(index.keys, compared) == hashes[..., tf.newaxis]
    return tf.reduce_sum(tf.where(is_key, tf.gather(index.places, compared), 0), axis=-1)

"""The counts of n-grams of one label, packed into numbers of 32 bits by their hashes.

A number holds the upper 16 bits of the hash, which tell most other n-grams apart, and two codes of
`trainer.ngrams.counts`; its place are the lower bits of the hash. So an n-gram is found by reading
one number, where `trainer.ngrams.index` reads eight and is exact.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from trainer.ngrams.counts import DECODED, NgramCounts

# For each n-gram; one in sixteen then shares a place with a more frequent one, and is lost.
_PLACES = 8
_UPPER_BITS = -(1 << 16)


def pack_counts(counts: NgramCounts) -> npt.NDArray[np.int32]:
    """Return the counts of one label, (places,) int32; places are a power of two."""
    found = counts.ngrams.places > 0
    hashes, places = counts.ngrams.keys[found], counts.ngrams.places[found]
    codes = counts.codes[places, :, 0].astype(np.int32)
    packed = np.zeros(1 << (_PLACES * len(hashes) - 1).bit_length(), np.int32)
    # The most frequent n-grams have the first places; of two in one slot, the last written stays.
    order = np.argsort(-places, kind="stable")
    values = (hashes & _UPPER_BITS) | codes[:, 0] << 8 | codes[:, 1]
    packed[(hashes & (len(packed) - 1))[order]] = values[order]
    return packed


def look_up(packed: tf.Tensor, hashes: tf.Tensor) -> tf.Tensor:
    """Return counts and continuations of n-grams by their hashes, (…, 2, 1) float32.

    packed: of `pack_counts`. hashes: (…) int32; 0 is no n-gram.
    """
    found = tf.gather(packed, hashes & (tf.size(packed) - 1))
    is_same = (tf.bitwise.bitwise_xor(found, hashes) & _UPPER_BITS) == 0
    codes = tf.stack([tf.bitwise.right_shift(found, 8) & 255, found & 255], axis=-1)
    counts = tf.gather(tf.constant(DECODED), tf.where(is_same[..., tf.newaxis], codes, 0))
    return counts[..., tf.newaxis]

"""Character n-grams as hashes and as buckets, computed from ids inside a graph."""

from __future__ import annotations

import tensorflow as tf

from trainer.bits import FIRST, GOLDEN, SECOND, fold, uint32


def mark_ends(ids: tf.Tensor, length: tf.Tensor, unknown_id: int) -> tf.Tensor:
    """Return sequences with a mark at their begin and one at their end.

    Args:
        ids: (batch, timesteps) integers; 0 is padding, the largest id is `unknown_id`.
        length: (batch,) int64.
        unknown_id: the begin mark is `unknown_id` + 1, the end mark `unknown_id` + 2.

    Returns:
        (batch, timesteps + 2) int32; a sequence takes `length` + 2 of them, the rest is padding.
    """
    begin = tf.fill([tf.shape(ids)[0], 1], unknown_id + 1)
    marked = tf.pad(tf.concat([begin, tf.cast(ids, tf.int32)], axis=1), [[0, 0], [0, 1]])
    positions = tf.range(tf.shape(marked)[1], dtype=length.dtype)
    is_end = positions == length[:, tf.newaxis] + 1
    return tf.where(is_end, unknown_id + 2, marked)


def hash_ngrams(marked: tf.Tensor, ngram_max: int) -> tf.Tensor:
    """Return the hash of each n-gram of 1 to `ngram_max` symbols, by its last position.

    Args:
        marked: (batch, positions) int32, of `mark_ends`.
        ngram_max: the longest n-gram.

    Returns:
        (batch, positions, ngram_max) int32: any number but 0, which is where there is no n-gram,
        because it would begin before the sequence, or the position is padding.
    """
    symbols = tf.cast(marked, tf.uint32)
    exists = marked > 0
    hashed = tf.zeros_like(symbols)
    hashes = []
    for size in range(1, ngram_max + 1):
        if size > 1:
            exists &= _one_position_later(exists)
            hashed = _one_position_later(hashed)
        hashed = fold((hashed ^ symbols) * uint32(GOLDEN), 15)
        of_size = fold((hashed + uint32(size)) * uint32(FIRST), 13)
        of_size = tf.bitcast(fold(of_size * uint32(SECOND), 16), tf.int32)
        hashes.append(tf.where(exists, tf.where(of_size == 0, 1, of_size), 0))
    return tf.stack(hashes, axis=2)


def buckets_of(hashes: tf.Tensor, num_buckets: int) -> tf.Tensor:
    """Return the bucket of each hash: 1 to `num_buckets`, a power of two; 0 for no n-gram."""
    return tf.where(hashes == 0, 0, (hashes & (num_buckets - 1)) + 1)


def _one_position_later(values: tf.Tensor) -> tf.Tensor:
    """Return at each position what `values` (batch, positions) has at the one before; 0 first."""
    return tf.pad(values[:, :-1], [[0, 0], [1, 0]])

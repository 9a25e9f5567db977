"""Language models of n-grams, one for each label: how probable it makes a sequence.

The probability of a symbol after the symbols before it is interpolated over all lengths of n-grams
as Witten and Bell (1991) do: what was seen with a label counts, and the more different symbols
followed the same beginning, the more the shorter n-grams count. By Bayes' rule the models classify
(Peng, Schuurmans and Wang, 2004). They have no weights to learn, so they say the most where rows
are few for their labels.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import tensorflow as tf

from trainer.ngrams.counts import CODE_BASE, CODE_SHIFT
from trainer.ngrams.index import NgramIndex, find_ngrams

TINY = 1e-30
# Of more, rows are computed one after another: all at once they would take gigabytes.
_MANY_LABELS = 256


class Statistics(NamedTuple):
    """What the language models are made of.

    ngrams: where they are. codes: (coded + 1, 2, labels) uint8. few_labels: (others + 1, 4) int32.
    few_codes: (others + 1, 4, 2) uint8. symbols: (2, labels) float32; these as in
    `trainer.ngrams.counts.NgramCounts`.
    log_shares: (labels,) float32, the logarithms of the probabilities of the labels before anything
    is read.
    """

    ngrams: NgramIndex
    codes: tf.Tensor
    few_labels: tf.Tensor
    few_codes: tf.Tensor
    symbols: tf.Tensor
    log_shares: tf.Tensor


def add_language_models(
    learned: tf.Tensor,
    statistics: Statistics,
    hashes: tf.Tensor,
    length: tf.Tensor,
    num_symbols: int,
) -> tf.Tensor:
    """Return the log-probabilities of all experts, (rows, 3, labels), from those that learn.

    learned: (rows, 2, labels). The others: as of `label_log_probabilities`.
    """
    counted = label_log_probabilities(statistics, hashes, length, num_symbols)
    return tf.concat([learned, counted[:, tf.newaxis]], axis=1)


def label_log_probabilities(
    statistics: Statistics, hashes: tf.Tensor, length: tf.Tensor, num_symbols: int
) -> tf.Tensor:
    """Return the log-probabilities of the labels, (rows, labels) float32.

    Args:
        statistics: of the language models.
        hashes: (rows, positions, sizes) int32, of the n-grams that end at each position.
        length: (rows,) int32, with both marks.
        num_symbols: that can follow another one.
    """
    places = find_ngrams(statistics.ngrams, hashes)

    def read(places: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
        counts = (_look_up(statistics, of_size) for of_size in tf.unstack(places, axis=2))
        return log_likelihoods(counts, statistics.symbols, length, num_symbols)

    if statistics.codes.shape[2] > _MANY_LABELS:
        alone = (places[:, tf.newaxis], length[:, tf.newaxis])
        likelihoods = tf.map_fn(lambda row: read(*row)[0], alone, fn_output_signature=tf.float64)
    else:
        likelihoods = read(places, length)
    log_shares = tf.cast(statistics.log_shares, tf.float64)
    return tf.cast(tf.nn.log_softmax(log_shares + likelihoods), tf.float32)


def log_likelihoods(
    counts: Iterable[tf.Tensor], symbols: tf.Tensor, length: tf.Tensor, num_symbols: int
) -> tf.Tensor:
    """Return the logarithm of the probability of each sequence by each label, (rows, labels).

    It is float64: of a thousand symbols, the sum in float32 would depend on its order.

    Args:
        counts: of the n-grams that end at each position, (rows, positions, 2, labels) float32 for
            each size from 1: how often one occurs, and how many different symbols follow it.
        symbols: (2, labels) float32, the same of nothing at all.
        length: (rows,) int32, with both marks.
        num_symbols: that can follow another one.
    """
    probability = tf.constant(1 / num_symbols)
    contexts = symbols
    for of_size in counts:
        seen, continuations = contexts[..., 0, :], contexts[..., 1, :]
        longer = of_size[:, 1:, 0] + continuations * probability
        longer = tf.minimum(longer / tf.maximum(seen + continuations, 1), 1)
        probability = tf.where(seen > 0, longer, probability)
        contexts = of_size[:, :-1]
    is_inside = tf.range(1, tf.shape(probability)[1] + 1) < length[:, tf.newaxis]
    logarithms = tf.cast(tf.math.log(tf.maximum(probability, TINY)), tf.float64)
    return tf.reduce_sum(tf.where(is_inside[..., tf.newaxis], logarithms, 0), axis=1)


def _look_up(statistics: Statistics, places: tf.Tensor) -> tf.Tensor:
    """Return the counts of n-grams at `places`, (…, 2, labels) float32."""
    codes, few_labels = statistics.codes, statistics.few_labels
    other = places - (tf.shape(codes)[0] - 1)
    counts = decode_counts(tf.gather(codes, tf.where(other > 0, 0, places)))
    if few_labels.shape[0] == 1:  # All n-grams have codes of all labels.
        return counts
    few = tf.where((other > 0) & (other < tf.shape(few_labels)[0]), other, 0)
    labels = tf.unstack(tf.gather(few_labels, few), axis=-1)
    values = tf.unstack(decode_counts(tf.gather(statistics.few_codes, few)), axis=-2)
    for label, value in zip(labels, values, strict=True):
        of_label = tf.one_hot(label, codes.shape[2])
        counts += value[..., tf.newaxis] * of_label[..., tf.newaxis, :]
    return counts


def decode_counts(codes: tf.Tensor) -> tf.Tensor:
    """Return the counts, float32, that `trainer.ngrams.counts.encode_counts` turned into codes."""
    bits = tf.bitwise.left_shift(tf.cast(codes, tf.int32), CODE_SHIFT)
    return tf.bitcast(bits + tf.bitcast(CODE_BASE, tf.int32), tf.float32) - CODE_BASE

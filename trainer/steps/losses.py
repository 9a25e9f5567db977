"""What the steps of every model measure, and how labels weigh in its loss."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from trainer.steps.replicas import add_counts

NUM_METRICS = 3  # Of `metric_sums`.


def metric_sums(
    labels: tf.Tensor, answers: tf.Tensor, losses: tf.Tensor, weights: tf.Tensor
) -> tf.Tensor:
    """Return loss, correct answers and rows, (3,) float32, summed over rows times their weight.

    Args:
        labels: (rows,) int64.
        answers: (rows, classes), probabilities or their logarithms.
        losses: (rows,) float32.
        weights: (rows,) float32, 0 of a row that fills up a batch.
    """
    correct = tf.cast(tf.argmax(answers, axis=1) == labels, tf.float32)
    sums = [tf.reduce_sum(values * weights) for values in (losses, correct)]
    return tf.stack([*sums, tf.reduce_sum(weights)])


def count_rows(weights: tf.Tensor) -> tf.Tensor:
    """Return the number of rows of a batch, those that fill it up left out: () float32.

    At least 1: beside a far larger weight those of all other batches may be 0 in float32.

    Args:
        weights: (rows,), of this replica's share of the batch.
    """
    here = tf.reduce_sum(tf.cast(weights > 0, tf.float32))
    return tf.maximum(add_counts(here), 1.0)


def balance(
    weights: tf.Tensor, labels: tf.Tensor, class_weights: Sequence[float] | None
) -> tf.Tensor:
    """Return the weights (rows,) times those of the rows' labels, if there are any.

    class_weights: of the loss of each label, in the order of their ids.
    """
    return weights * tf.gather(class_weights, labels) if class_weights else weights

"""Why a model gives its label: how much its probability falls when a character becomes unknown.

Each character is replaced by the unknown one, which a model has learned from train rows (see
`trainer.data.unknown`), and the model is asked again: occlusion, after Zeiler and Fergus, 2014. How
well it finds the characters that matter is measured by `benchmarks.explain`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from charseq.measures.influence import LEAST_PROBABILITY

# From ids (rows, timesteps) int64 and lengths (rows,) int64 to probabilities (rows, labels).
Classify = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]

_PADDING_ID = 0
# The ids of the texts that are classified at once: enough for all characters of a text of 256. A
# model of n-grams takes some 3 KB for each, 200 MB in all.
_MAX_IDS = 1 << 16


class Explanation(NamedTuple):
    """What `explain` returns for (rows, timesteps) ids.

    label: (rows,) int64, the number of the most probable one. log_probability: (rows,) float32, its
    own in nats. influence: (rows, timesteps) float32, by how many nats that falls if the character
    is unknown; below 0 where it rises; 0 for padding and characters that are unknown anyway.
    """

    label: tf.Tensor
    log_probability: tf.Tensor
    influence: tf.Tensor


def explain(
    classify: Classify,
    ids: tf.Tensor,
    length: tf.Tensor,
    unknown_id: int,
    max_ids: int = _MAX_IDS,
) -> Explanation:
    """Return the most probable label of each text, and the influence of each of its characters.

    Args:
        classify: the model.
        ids: (rows, timesteps) int64.
        length: (rows,) int64, 1 or more.
        unknown_id: the id of the unknown character.
        max_ids: of the texts that the model is asked for at once, if they are several.
    """
    timesteps = tf.shape(ids)[1]
    # Padding that no text needs is not computed.
    ids = ids[:, : tf.maximum(tf.reduce_max(length), 1)]
    probabilities = classify(ids, length)
    label = tf.argmax(probabilities, axis=1)
    log_probability = _log(tf.reduce_max(probabilities, axis=1))
    places = tf.where((ids != _PADDING_ID) & (ids != unknown_id))
    at_once = tf.maximum(max_ids // tf.shape(ids)[1], 1)

    def classify_next(start: tf.Tensor, influence: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        some = places[start : start + at_once]
        row, timestep = tf.unstack(some, axis=1)
        is_changed = tf.range(tf.shape(ids, tf.int64)[1]) == timestep[:, tf.newaxis]
        changed = tf.where(is_changed, tf.constant(unknown_id, ids.dtype), tf.gather(ids, row))
        of_all = classify(changed, tf.gather(length, row))
        left = _log(tf.gather(of_all, tf.gather(label, row), batch_dims=1))
        fallen = tf.gather(log_probability, row) - left
        return start + at_once, tf.tensor_scatter_nd_update(influence, some, fallen)

    _, influence = tf.while_loop(
        lambda start, _: start < tf.shape(places)[0],
        classify_next,
        (0, tf.zeros(tf.shape(ids))),
        parallel_iterations=1,
    )
    padding = timesteps - tf.shape(ids)[1]
    return Explanation(label, log_probability, tf.pad(influence, [[0, 0], [0, padding]]))


def _log(probability: tf.Tensor) -> tf.Tensor:
    return tf.math.log(tf.maximum(tf.cast(probability, tf.float32), LEAST_PROBABILITY))

"""How a sequence of ids enters the model: as ids, one-hot vectors, or scalars."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from charseq.manifest import Manifest
from trainer.config import NGRAMS


def input_shape(representation: str, max_length: int, alphabet_size: int) -> tuple[int, ...]:
    """Return the shape of one sequence at the model's input."""
    features = {"embedding": (), NGRAMS: (), "one_hot": (alphabet_size,), "scalar": (1,)}
    return (max_length, *features[representation])


def represent(ids: tf.Tensor, representation: str, alphabet_size: int) -> tf.Tensor:
    """Turn ids (batch, max_length) int64 into the model's input (batch, *input_shape).

    Or the ids of one timestep (batch,) into that of the timestep.

    embedding, ngrams: the ids themselves, int64. one_hot: float32; padding and unknown characters
    are zero vectors. scalar: float32, id / alphabet_size, so that values stay about 0 to 1.
    """
    if representation == "one_hot":
        return tf.one_hot(ids - 1, alphabet_size)
    if representation == "scalar":
        return tf.cast(ids[..., tf.newaxis], tf.float32) / alphabet_size
    return ids


def restore_ids(
    sequence: npt.NDArray[Any],
    lengths: npt.NDArray[np.int64],
    representation: str,
    manifest: Manifest,
) -> npt.NDArray[np.int64]:
    """Return the ids (batch, max_length) that `represent` turned into a model's input.

    Args:
        sequence: the input, (batch, *input_shape).
        lengths: (batch,); a zero vector within is an unknown character.
        representation: of the input.
        manifest: of its dataset.
    """
    if representation == "one_hot":
        ids = np.where(sequence.any(axis=2), sequence.argmax(axis=2) + 1, manifest.unknown_id)
        is_inside = np.arange(manifest.max_length) < lengths[:, np.newaxis]
        return np.where(is_inside, ids, manifest.padding_id)
    if representation == "scalar":
        sequence = np.rint(sequence[..., 0] * manifest.alphabet_size)
    return sequence.astype(np.int64)

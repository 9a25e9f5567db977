"""The model: LSTM layers over one another, and a softmax over the labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import keras


class EmbeddingSize(NamedTuple):
    """ids: how many there are, padding and unknown among them. dim: the width of a vector."""

    ids: int
    dim: int


def build_model(
    input_shape: tuple[int, ...],
    classes: int,
    units: Sequence[int],
    *,
    embedding: EmbeddingSize | None = None,
    masked: bool = True,
) -> keras.Model:
    """A stacked LSTM for sequence classification, of plain Keras layers and operations.

    Inputs: `sequence` (batch, *input_shape), int64 ids where there is an embedding, else float32,
    and, if masked, `length` (batch,) int64. Output: `probabilities` (batch, classes) float32.

    Unmasked, on vectors, this is the "stacked LSTM for sequence classification" of Keras's own
    documentation: keras-team/keras, docs/templates/getting-started/sequential-model-guide.md
    """
    dtype = "int64" if embedding else "float32"
    sequence = keras.Input(input_shape, dtype=dtype, name="sequence")
    inputs = {"sequence": sequence}
    mask = None
    if masked:
        inputs["length"] = keras.Input((), dtype="int64", name="length")
        mask = prefix_mask(inputs["length"], input_shape[0])
    x = keras.layers.Embedding(*embedding, name="embedding")(sequence) if embedding else sequence
    for number, width in enumerate(units, start=1):
        lstm = keras.layers.LSTM(width, return_sequences=number < len(units), name=f"lstm_{number}")
        x = lstm(x, mask=mask)
    softmax = keras.layers.Dense(classes, activation="softmax", name="probabilities")
    return keras.Model(inputs, softmax(x), name="stacked_lstm")


def prefix_mask(length: keras.KerasTensor, timesteps: int) -> keras.KerasTensor:
    """True where a character stands: lengths (batch,) int64 to (batch, timesteps) bool.

    Made from the length, not from the sequence: the one-hot row of an unknown character is zero
    like that of padding, yet it is a character.
    """
    return keras.ops.expand_dims(length, 1) > keras.ops.arange(timesteps, dtype="int64")

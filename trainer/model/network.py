"""The model: a stack of LSTM layers, and a softmax over the labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import keras

from trainer.model.xla_dropout import XlaDropout
from trainer.model.xla_lstm import XlaLSTM

# The layer that gives them, the last one.
PROBABILITIES_LAYER = "probabilities"


class EmbeddingSize(NamedTuple):
    """num_ids: with padding and unknown among them. dim: the width of a vector."""

    num_ids: int
    dim: int


def build_model(
    input_shape: tuple[int | None, ...],
    classes: int,
    units: Sequence[int],
    *,
    embedding: EmbeddingSize | None = None,
    dropout: float = 0.0,
    masked: bool = True,
) -> keras.Model:
    """Build a stacked LSTM for sequence classification from plain Keras layers and operations.

    Inputs: `sequence` (batch, *input_shape), int64 ids where there is an embedding, else float32,
    and, if masked, `length` (batch,) int64. Output: `probabilities` (batch, classes) float32.
    dropout: the share of each LSTM layer's outputs that is dropped in training.

    Unmasked, on vectors, this is the "stacked LSTM for sequence classification" of Keras's own
    documentation: keras-team/keras, docs/templates/getting-started/sequential-model-guide.md
    """
    inputs = _inputs(input_shape, embedding)
    x = _embed(inputs["sequence"], embedding)
    mask = None
    if masked:
        mask = prefix_mask(inputs["length"], inputs["sequence"])
    else:
        del inputs["length"]
    for number, width in enumerate(units, start=1):
        lstm = keras.layers.LSTM(width, return_sequences=number < len(units), name=f"lstm_{number}")
        x = lstm(x, mask=mask)
        if dropout:
            x = keras.layers.Dropout(dropout, name=f"dropout_{number}")(x)
    return keras.Model(inputs, _softmax(x, classes), name="stacked_lstm")


def build_xla_model(
    input_shape: tuple[int | None, ...],
    classes: int,
    units: Sequence[int],
    *,
    embedding: EmbeddingSize | None = None,
    dropout: float = 0.0,
) -> keras.Model:
    """Build the masked model of `build_model` for XLA only: the same weights in the same order."""
    inputs = _inputs(input_shape, embedding)
    # Time first, as `XlaLSTM` takes it.
    sequence = keras.ops.swapaxes(inputs["sequence"], 0, 1)
    x = _embed(sequence, embedding)
    for number, width in enumerate(units, start=1):
        lstm = XlaLSTM(width, return_sequences=number < len(units), name=f"lstm_{number}")
        x = lstm(x, inputs["length"])
        if dropout:
            x = XlaDropout(dropout, name=f"dropout_{number}")(x)
    return keras.Model(inputs, _softmax(x, classes), name="stacked_lstm")


def _inputs(
    shape: tuple[int | None, ...], embedding: EmbeddingSize | None
) -> dict[str, keras.KerasTensor]:
    dtype = "int64" if embedding else "float32"
    return {
        "sequence": keras.Input(shape, dtype=dtype, name="sequence"),
        "length": keras.Input((), dtype="int64", name="length"),
    }


def _embed(x: keras.KerasTensor, embedding: EmbeddingSize | None) -> keras.KerasTensor:
    if not embedding:
        return x
    # Of the size that an LSTM's first weights expect; Keras's default, 0.03, takes epochs to grow.
    vectors = keras.initializers.RandomNormal(stddev=1.0)
    return keras.layers.Embedding(*embedding, embeddings_initializer=vectors, name="embedding")(x)


def _softmax(x: keras.KerasTensor, classes: int) -> keras.KerasTensor:
    layer = keras.layers.Dense(
        classes, activation="softmax", dtype="float32", name=PROBABILITIES_LAYER
    )
    return layer(x)


def prefix_mask(length: keras.KerasTensor, sequence: keras.KerasTensor) -> keras.KerasTensor:
    """Return True for each character: lengths (batch,) int64 to (batch, timesteps) bool.

    Of the sequence only the shape (batch, timesteps, …) counts: the one-hot vector of an unknown
    character is zero like that of padding, yet it is a character.
    """
    first = sequence if len(sequence.shape) == 2 else sequence[:, :, 0]
    numbers = keras.ops.cumsum(keras.ops.ones_like(first, dtype="int64"), axis=1)
    return numbers <= keras.ops.expand_dims(length, 1)

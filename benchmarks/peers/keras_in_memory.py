"""Train with `model.fit` on one-hot vectors of all rows in memory: the project's original program.

This is Keras's "stacked LSTM for sequence classification": padded at the end, not masked, RMSprop.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import keras
import numpy as np
import numpy.typing as npt

from benchmarks.peers.common import MAX_LENGTH
from benchmarks.peers.keras_fit import EpochClock, stacked_lstm
from benchmarks.peers.training import (
    Epoch,
    Rows,
    add_csv,
    read_csv,
    training_parser,
    write_metrics,
)

Floats = npt.NDArray[np.float32]


def encode_sequences(sequences: Sequence[str], alphabet: Sequence[str]) -> Floats:
    """Text to (n, MAX_LENGTH, characters of the alphabet) float32; padding is zero."""
    id_of = {character: place for place, character in enumerate(alphabet, start=1)}
    ids = keras.utils.pad_sequences(
        [[id_of[character] for character in sequence] for sequence in sequences],
        maxlen=MAX_LENGTH,
        padding="post",
        truncating="post",
    )
    vectors = np.eye(len(alphabet) + 1, dtype=np.float32)[:, 1:]
    encoded: Floats = vectors[ids]
    return encoded


def encode_labels(labels: Sequence[str], names: Sequence[str]) -> Floats:
    """Labels to (n, names) float32, one-hot."""
    id_of = {name: place for place, name in enumerate(names)}
    encoded: Floats = keras.utils.to_categorical([id_of[label] for label in labels], len(names))
    return encoded


def run(
    train: Rows, validation: Rows, epochs: int, batch_size: int, jit_compile: bool
) -> list[Epoch]:
    """Train; give what each epoch measured."""
    alphabet = sorted(set("".join(train.sequences)))
    names = sorted(set(train.labels))
    x, y = encode_sequences(train.sequences, alphabet), encode_labels(train.labels, names)
    x_validation = encode_sequences(validation.sequences, alphabet)
    y_validation = encode_labels(validation.labels, names)
    keras.utils.set_random_seed(0)
    model = stacked_lstm(x.shape[1:], len(names))
    model.compile(
        optimizer="rmsprop",
        loss="categorical_crossentropy",
        metrics=["accuracy"],
        # Keras's own "auto" compiles nothing where there is only a CPU.
        jit_compile=True if jit_compile else "auto",
    )
    clock = EpochClock()
    model.fit(
        x,
        y,
        batch_size=batch_size,
        epochs=epochs,
        validation_data=(x_validation, y_validation),
        callbacks=[clock],
        verbose=2,
    )
    return clock.epochs


def main(argv: Sequence[str] | None = None) -> int:
    """Train as the command line says."""
    parser = training_parser(__doc__, batch_size=64)
    add_csv(parser)
    parser.add_argument("--jit-compile", action="store_true", help="compile with XLA")
    given = parser.parse_args(argv)
    train, validation = read_csv(given.train), read_csv(given.validation)
    epochs = run(train, validation, given.epochs, given.batch_size, given.jit_compile)
    write_metrics(given.output, len(train.labels), epochs)
    return 0


if __name__ == "__main__":
    sys.exit(main())

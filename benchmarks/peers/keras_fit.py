"""The model and the epoch timer that the two `model.fit` programs share."""

from __future__ import annotations

import time

import keras

from benchmarks.peers.training import UNITS, Epoch


def stacked_lstm(input_shape: tuple[int, ...], classes: int) -> keras.Sequential:
    """LSTM layers over one another and a softmax, on one-hot vectors, without a mask."""
    *lower, last = UNITS
    return keras.Sequential(
        [
            keras.Input(input_shape),
            *(keras.layers.LSTM(width, return_sequences=True) for width in lower),
            keras.layers.LSTM(last),
            keras.layers.Dense(classes, activation="softmax"),
        ]
    )


class EpochClock(keras.callbacks.Callback):
    """Times the training of each epoch, without its validation, from its making on.

    It has nothing to do at a batch: that would cost the program that is measured. So the end of
    an epoch's batches is the beginning of its validation.
    """

    def __init__(self) -> None:
        super().__init__()
        self.epochs: list[Epoch] = []
        self._started = time.perf_counter()
        self._seconds = 0.0

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        # What fit does before its first epoch belongs to that, as compiling does.
        if epoch > 0:
            self._started = time.perf_counter()

    def on_test_begin(self, logs: object = None) -> None:
        self._seconds = time.perf_counter() - self._started

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.epochs.append(Epoch(self._seconds, float((logs or {})["val_accuracy"])))

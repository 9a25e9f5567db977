"""What a run measured, epoch by epoch: `metrics.json` and TensorBoard's logs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict

import tensorflow as tf

from trainer.position import Epoch, Score
from trainer.run_directory import LOGS, METRICS_FILE, write_json


class History:
    """The epochs of a run so far, kept up to date in its directory."""

    def __init__(self, directory: str, epochs: Sequence[Epoch]) -> None:
        self._metrics_file = os.path.join(directory, METRICS_FILE)
        self._logs = os.path.join(directory, LOGS)
        self._writers: dict[str, tf.summary.SummaryWriter] = {}
        self._epochs = list(epochs)

    def add(self, epoch: Epoch) -> None:
        """Write down one more epoch."""
        self._epochs.append(epoch)
        write_json(self._metrics_file, self._metrics())
        for split, score in (("train", epoch.train), ("validation", epoch.validation)):
            if score:
                self._log(split, epoch.number, score)

    def _metrics(self) -> dict[str, object]:
        last = self._epochs[-1]
        seconds = sum(epoch.seconds for epoch in self._epochs)
        sequences = sum(epoch.seconds * epoch.sequences_per_second for epoch in self._epochs)
        return {
            "epochs": [asdict(epoch) for epoch in self._epochs],
            "final": {
                "train": asdict(last.train),
                "validation": asdict(last.validation) if last.validation else None,
                "seconds": seconds,
                "sequences_per_second": sequences / seconds,
            },
        }

    def _log(self, split: str, step: int, score: Score) -> None:
        if split not in self._writers:
            path = os.path.join(self._logs, split)
            self._writers[split] = tf.summary.create_file_writer(path)
        writer = self._writers[split]
        with writer.as_default(step):
            tf.summary.scalar("loss", score.loss)
            tf.summary.scalar("accuracy", score.accuracy)
        writer.flush()

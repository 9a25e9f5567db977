"""What a run measured, epoch by epoch: `metrics.json`, `metrics.csv`, TensorBoard's logs."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict

import tensorflow as tf

from charseq.files import write_json, write_text
from trainer.run_directory import CSV_FILE, LOGS, METRICS_FILE
from trainer.training.state import Epoch, best_epoch

SPLITS = ("train", "validation")
_SPEED = ("learning_rate", "sequences_per_second", "input_wait", "seconds")


class History:
    """The epochs of a run so far, kept up to date in its directory."""

    def __init__(self, directory: str, epochs: Sequence[Epoch], best_by: str) -> None:
        self._best_by = best_by
        self._csv_file = os.path.join(directory, CSV_FILE)
        self._metrics_file = os.path.join(directory, METRICS_FILE)
        self._logs = os.path.join(directory, LOGS)
        self._writers: dict[str, tf.summary.SummaryWriter] = {}
        self._epochs = list(epochs)

    def add(self, epoch: Epoch) -> None:
        """Add an epoch to all three."""
        self._epochs.append(epoch)
        write_json(self._metrics_file, self._metrics())
        for split in SPLITS:
            score = getattr(epoch, split)
            if score:
                self._log(split, epoch.number, asdict(score))
        speed = {name: getattr(epoch, name) for name in _SPEED}
        self._log("train", epoch.number, speed)
        self._write_csv()

    def _metrics(self) -> dict[str, object]:
        """Return the content of `metrics.json`."""
        last = self._epochs[-1]
        seconds = sum(epoch.seconds for epoch in self._epochs)
        sequences = sum(epoch.seconds * epoch.sequences_per_second for epoch in self._epochs)
        return {
            "best_epoch": best_epoch(self._epochs, self._best_by).number,
            "epochs": [asdict(epoch) for epoch in self._epochs],
            "final": {
                "train": asdict(last.train),
                "validation": asdict(last.validation) if last.validation else None,
                "seconds": seconds,
                "sequences_per_second": sequences / seconds,
            },
        }

    def _write_csv(self) -> None:
        """Write all epochs, so that one that a killed run wrote twice is in the file once."""
        columns = [f"{split}_{name}" for split in SPLITS for name in ("loss", "accuracy")]
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(["epoch", *columns, *_SPEED])
        writer.writerows(map(_csv_row, self._epochs))
        write_text(self._csv_file, text.getvalue())

    def _log(self, split: str, step: int, values: Mapping[str, float]) -> None:
        if split not in self._writers:
            path = os.path.join(self._logs, split)
            self._writers[split] = tf.summary.create_file_writer(os.fsencode(path))
        writer = self._writers[split]
        with writer.as_default(step):
            for name, value in values.items():
                tf.summary.scalar(name, value)
        writer.flush()


def _csv_row(epoch: Epoch) -> list[object]:
    scores = [getattr(epoch, split) for split in SPLITS]
    means = [mean for s in scores for mean in ((s.loss, s.accuracy) if s else ("", ""))]
    return [epoch.number, *means, *(getattr(epoch, name) for name in _SPEED)]

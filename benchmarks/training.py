"""Run one training in its own process and measure it."""

from __future__ import annotations

import csv
import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.measure import Cost, run_measured
from benchmarks.peers.training import Epoch
from benchmarks.samples import Sample
from charseq.cli import heavy_imports
from charseq.errors import DataError

PACKAGES = ("tensorflow", "keras", "numpy")
TRAINER = "trainer"
_READERS_OF_CSV = ("benchmarks.peers.keras_in_memory", "benchmarks.peers.torch_lstm")
_SPLITS = ("train", "validation")
_ENVIRONMENT = {"TF_CPP_MIN_LOG_LEVEL": "3"}


class Data(NamedTuple):
    """The same rows in the same splits: a prepared dataset, and CSV files made of it.

    csv_files: of the train and the validation split; () where nobody reads them.
    """

    dataset: Path
    csv_files: tuple[Path, ...]
    train_rows: int
    validation_rows: int

    @property
    def rows(self) -> int:
        """All rows that a training reads."""
        return self.train_rows + self.validation_rows


@dataclass(frozen=True)
class Contestant:
    """A program that trains.

    module: what `python -m` runs, with the data, --output, --epochs and then `flags`.
    representation: of a character; only what is alike in it is compared without a word.
    python: the interpreter.
    """

    name: str
    module: str
    representation: str
    flags: tuple[str, ...] = ()
    python: str = sys.executable

    @property
    def is_ours(self) -> bool:
        """Whether it is this project's trainer."""
        return self.module == TRAINER

    def command(self, data: Data, output: Path, epochs: int) -> list[str]:
        """The whole command line."""
        if self.module in _READERS_OF_CSV:
            train, validation = data.csv_files
            source = [f"--train={train}", f"--validation={validation}"]
        else:
            source = [f"--data={data.dataset}"]
        return [
            *(self.python, "-m", self.module, *source),
            *(f"--output={output}", f"--epochs={epochs}", *self.flags),
        ]


@dataclass(frozen=True)
class Training:
    """A training that has ended. rows: of the train split, so of each epoch."""

    cost: Cost
    rows: int
    epochs: tuple[Epoch, ...]

    @property
    def steady_rate(self) -> float:
        """Sequences a second of the epochs after the first; NaN where there is none."""
        later = self.epochs[1:]
        return self.rows * len(later) / sum(one.seconds for one in later) if later else math.nan

    @property
    def whole_rate(self) -> float:
        """Sequences trained on a second of the process, start to end."""
        return self.rows * len(self.epochs) / self.cost.wall

    @property
    def accuracy(self) -> float:
        """On the validation rows, 0 to 1, after the last epoch."""
        return self.epochs[-1].accuracy

    def course(self) -> list[tuple[float, float]]:
        """Seconds of training up to the end of each epoch, and the validation accuracy there."""
        seconds, points = 0.0, []
        for epoch in self.epochs:
            seconds += epoch.seconds
            points.append((seconds, epoch.accuracy))
        return points


def charseq(name: str, representation: str = "embedding", *flags: str) -> Contestant:
    """This project's trainer, with its defaults but for what is given."""
    return Contestant(
        f"charseq_{name}", TRAINER, representation, (f"--representation={representation}", *flags)
    )


def keras_in_memory(name: str, batch_size: int, *flags: str) -> Contestant:
    """The program that this project began with."""
    return Contestant(
        f"keras_in_memory_{name}",
        "benchmarks.peers.keras_in_memory",
        "one_hot",
        (f"--batch-size={batch_size}", *flags),
    )


def prepare_dataset(sample: Sample, directory: Path) -> Path:
    """Prepare a sample with `python -m pipeline` into a directory."""
    subprocess.run(
        [sys.executable, "-m", "pipeline", f"--input={sample.path}", f"--output={directory}"],
        check=True,
        stdout=sys.stderr,
    )
    return directory


def prepare_data(sample: Sample, directory: Path) -> Data:
    """Prepare a sample into a directory that does not exist yet, as a dataset and as CSV files.

    The files hold the rows of the dataset, so that everybody trains on, and is measured on, the
    same ones: duplicates removed, cut at the greatest length, split as the pipeline does.
    """
    directory.mkdir()
    dataset = prepare_dataset(sample, directory / "dataset")
    with heavy_imports():
        import tensorflow as tf

        from pipeline.manifests.read import read_manifest
        from pipeline.verification.records import read_records
    # It would keep the memory of a GPU from those that are measured.
    tf.config.set_visible_devices([], "GPU")
    manifest = read_manifest(str(dataset))
    train, validation = (directory / f"{split}.csv" for split in _SPLITS)
    for split, path in zip(_SPLITS, (train, validation), strict=True):
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("sequence", "label"))
            for record in read_records(str(dataset), manifest, split):
                writer.writerow((record.sequence, record.label))
    return describe_data(dataset, train, validation)


def describe_data(dataset: Path, *csv_files: Path) -> Data:
    """What a training needs to know of a prepared dataset."""
    counts = json.loads((dataset / "dataset.json").read_text(encoding="utf-8"))["counts"]
    return Data(dataset, csv_files, *(counts[split] for split in _SPLITS))


def warm_file_cache(contestants: Sequence[Contestant]) -> None:
    """Import once what each contestant imports, or the first would read it from the disk."""
    for python, module in sorted({(one.python, one.module) for one in contestants}):
        imported = "trainer.training.train" if module == TRAINER else module
        subprocess.run([python, "-c", f"import {imported}"], check=True, stderr=subprocess.DEVNULL)


def run_training(contestant: Contestant, data: Data, epochs: int, scratch: Path) -> Training:
    """Run once in `scratch`, which is empty again afterwards.

    Raises:
        DataError: it failed, or trained on other rows than it should have.
    """
    output, temporary = scratch / "output", scratch / "temporary"
    temporary.mkdir()
    # Nobody should pay for the writing back of what the run before left in the cache.
    os.sync()
    cost = run_measured(
        contestant.command(data, output, epochs),
        {**os.environ, **_ENVIRONMENT, "TMPDIR": str(temporary)},
    )
    metrics = json.loads((output / "metrics.json").read_text(encoding="utf-8"))
    measured = read_epochs(metrics, data.train_rows, contestant.name)
    if len(measured) != epochs:
        raise DataError(f"{contestant.name}: {len(measured)} epochs trained, expected {epochs}")
    shutil.rmtree(output)
    shutil.rmtree(temporary)
    return Training(cost, data.train_rows, measured)


def read_epochs(metrics: Any, rows: int, name: str) -> tuple[Epoch, ...]:
    """What the epochs of a `metrics.json` measured.

    Raises:
        DataError: one was of another number of rows.
    """
    for epoch in metrics["epochs"]:
        found = round(epoch["seconds"] * epoch["sequences_per_second"])
        if found != rows:
            raise DataError(f"{name}: {found} rows in an epoch, expected {rows}")
    return tuple(
        Epoch(epoch["seconds"], epoch["validation"]["accuracy"]) for epoch in metrics["epochs"]
    )

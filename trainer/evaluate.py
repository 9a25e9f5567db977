"""python -m trainer.evaluate: how good a trained model is on one split of a dataset."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from trainer.errors import DataError, exit_status
from trainer.manifest import Manifest, read_manifest
from trainer.run_directory import MODEL_FILE, Run, read_run, write_json
from trainer.startup import heavy_imports

if TYPE_CHECKING:
    import keras

SPLITS = ("train", "validation", "test")

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LabelScore:
    """How one label is told from the others. support: the rows that have it."""

    label: str
    support: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class Evaluation:
    """A model on every row of a split. loss: mean, in nats; fingerprint: of the dataset.

    macro_f1: the mean over the labels that some row has or was given.
    """

    split: str
    fingerprint: str
    rows: int
    loss: float
    accuracy: float
    macro_f1: float
    labels: tuple[LabelScore, ...]

    def __str__(self) -> str:
        width = max(len(label.label) for label in self.labels)
        lines = [
            f"{self.rows:,} rows: loss {self.loss:.4f}, accuracy {self.accuracy:.4f}, "
            f"macro F1 {self.macro_f1:.4f}",
            f"{'label':<{width}}  {'support':>9}  precision  recall      F1",
        ]
        lines += [
            f"{label.label:<{width}}  {label.support:>9,}  {label.precision:>9.4f}"
            f"  {label.recall:.4f}  {label.f1:.4f}"
            for label in self.labels
        ]
        return "\n".join(lines)


def evaluate(run: Run, manifest: Manifest, split: str) -> Evaluation:
    """Measure a run's model on a split.

    Raises:
        DataError: the dataset is not one that the model can read, the split has no row, or a shard
            is corrupted.
    """
    import keras

    size = len(run.labels)
    confusion, loss = np.zeros((size, size), np.int64), 0.0
    for labels, probabilities in predict(run, manifest, split):
        np.add.at(confusion, (labels, probabilities.argmax(axis=1)), 1)
        row_loss = keras.losses.sparse_categorical_crossentropy(labels, probabilities)
        loss += float(np.asarray(row_loss).sum(dtype=np.float64))
    scores = score_labels(confusion, run.labels)
    occurring = (confusion.sum(axis=0) + confusion.sum(axis=1)) > 0
    rows = int(confusion.sum())
    return Evaluation(
        split=split,
        fingerprint=manifest.fingerprint,
        rows=rows,
        loss=loss / rows,
        accuracy=int(confusion.trace()) / rows,
        macro_f1=float(np.mean([score.f1 for score in scores], where=occurring)),
        labels=scores,
    )


def score_labels(confusion: Ints, labels: Sequence[str]) -> tuple[LabelScore, ...]:
    """Scores of each label; a share of no rows is 0.

    confusion: (labels, labels) int64, of rows that have label i and were given label j.
    """
    hits, support, given = confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0)
    columns = (
        support.tolist(),
        _share(hits, given).tolist(),
        _share(hits, support).tolist(),
        # The harmonic mean of precision and recall.
        _share(2 * hits, given + support).tolist(),
    )
    return tuple(LabelScore(*score) for score in zip(labels, *columns, strict=True))


def _share(part: Ints, whole: Ints) -> Floats:
    share: Floats = part / np.maximum(whole, 1)
    return share


def predicted_labels(run: Run, manifest: Manifest, split: str) -> list[str]:
    """The label that the model gives to each row of a split, in the order of the records."""
    return [
        run.labels[label]
        for _, probabilities in predict(run, manifest, split)
        for label in probabilities.argmax(axis=1)
    ]


def predict(run: Run, manifest: Manifest, split: str) -> Iterator[tuple[Ints, Floats]]:
    """The model's answers, a batch at a time, in the order of the records.

    Yields:
        Labels (batch,) int64 as they are in the records; probabilities (batch, labels) float32.

    Raises:
        DataError: as `evaluate`.
    """
    import keras
    import tensorflow as tf

    from trainer.dataset import (
        Batches,
        corruption_as_data_error,
        resolve_representation,
    )

    check_same_ids(run, manifest)
    manifest.require_rows(split)
    representation = resolve_representation(run.representation, manifest)
    model: keras.Model = keras.saving.load_model(run.path(MODEL_FILE), compile=False)
    answer = tf.function(model, reduce_retracing=True)
    batches = Batches(manifest, representation, run.batch_size).evaluation(split)
    with corruption_as_data_error(manifest):
        for features, labels, weights in batches:
            rows = weights.numpy() > 0
            yield labels.numpy()[rows], answer(features).numpy()[rows]


def check_same_ids(run: Run, manifest: Manifest) -> None:
    """Look whether ids mean in a dataset what they meant in that of the run.

    Raises:
        DataError: they do not; the message names what differs.
    """
    for name in ("max_length", "alphabet_size", "alphabet", "labels"):
        got, expected = getattr(manifest, name), getattr(run, name)
        if got != expected:
            raise DataError(
                f"{manifest.directory} does not fit the model of {run.directory}: "
                f"{name.replace('_', ' ')}: got {_shown(got)}, expected {_shown(expected)}"
            )


def _shown(value: int | tuple[str, ...]) -> str:
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def main(argv: Sequence[str] | None = None) -> int:
    """Evaluate as the command line says; return the exit status."""
    return exit_status(lambda: _evaluate(_parser().parse_args(argv)))


def _evaluate(options: argparse.Namespace) -> None:
    run, manifest = read_run(options.model), read_manifest(options.data)
    with heavy_imports():
        import tensorflow  # noqa: F401
    evaluation = evaluate(run, manifest, options.split)
    if manifest.fingerprint != run.fingerprint:
        print(f"{options.data} is not the dataset that {options.model} was trained on")
    print(f"{options.model} on {options.split} of {options.data}, {evaluation}")
    path = run.path(f"evaluation-{options.split}.json")
    write_json(path, asdict(evaluation))
    print(f"written: {path}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m trainer.evaluate",
        allow_abbrev=False,
        description="Measure a trained model on one split of a dataset.",
        epilog="Exit status: 0 done, 1 the run or the data cannot be used, 2 the command line is "
        "wrong.",
    )
    parser.add_argument("--model", help="run directory of python -m trainer", required=True,
                        metavar="DIR")  # fmt: skip
    parser.add_argument("--data", help="dataset directory that python -m pipeline wrote",
                        required=True, metavar="DIR")  # fmt: skip
    parser.add_argument("--split", help="to measure on (default: test)", default="test",
                        choices=SPLITS)  # fmt: skip
    return parser


if __name__ == "__main__":
    sys.exit(main())

"""A trained model measured on one split of a dataset."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from charseq.errors import DataError
from charseq.html.escape import escape_terminal
from charseq.metrics import Evaluation, Ints, MetricsAccumulator, worst_labels
from trainer.data.manifest import Manifest
from trainer.run_directory import MODEL_FILE, Run

if TYPE_CHECKING:
    import keras

# What a terminal shows without scrolling; report.html has more.
_SHOWN_LABELS = 20
_SHOWN_WIDTH = 32


def evaluate(run: Run, manifest: Manifest, split: str) -> Evaluation:
    """Measure a run's model on a split.

    Raises:
        DataError: the dataset is not one that the model can read, the split has no row, a shard is
            corrupted, or the model's answers are not numbers.
    """
    tally = MetricsAccumulator(len(run.labels), run.max_length)
    for labels, probabilities, lengths in predict(run, manifest, split):
        tally.add(labels, probabilities, lengths)
    return tally.evaluation(split, manifest.fingerprint, run.labels)


def format_evaluation(evaluation: Evaluation) -> str:
    """The measures as a few lines of text: of many labels, those with the worst F1."""
    labels, left_out = worst_labels(evaluation.labels, _SHOWN_LABELS)
    names = [escape_terminal(one.label, _SHOWN_WIDTH) for one in labels]
    width = max(map(len, [*names, "label"]))
    lines = [
        f"{evaluation.rows:,} rows: accuracy {evaluation.accuracy:.4f}, "
        f"top-3 accuracy {evaluation.top3_accuracy:.4f}, macro F1 {evaluation.macro_f1:.4f}, "
        f"loss {evaluation.loss:.4f}, calibration error {evaluation.calibration_error:.4f}",
        f"{'label':<{width}}  {'support':>9}  precision  recall      F1",
    ]
    lines += [
        f"{name:<{width}}  {one.support:>9,}  {one.precision:>9.4f}  {one.recall:.4f}  {one.f1:.4f}"
        for name, one in zip(names, labels, strict=True)
    ]
    if left_out:
        lines.append(f"these have the lowest F1; {left_out:,} more labels in the files below")
    return "\n".join(lines)


def predict(
    run: Run, manifest: Manifest, split: str
) -> Iterator[tuple[Ints, npt.NDArray[np.float32], Ints]]:
    """The model's answers, a batch at a time, in the order of the records.

    Yields:
        Labels (batch,) int64 as they are in the records; probabilities (batch, labels) float32;
        lengths (batch,) int64, in characters.

    Raises:
        DataError: as `evaluate`.
    """
    import keras
    import tensorflow as tf

    from trainer.data.batches import Batches, resolve_representation, unreadable_as_data_error

    check_same_ids(run, manifest)
    manifest.check_not_empty(split)
    representation = resolve_representation(run.representation, manifest)
    model: keras.Model = keras.saving.load_model(run.path(MODEL_FILE), compile=False)
    answer = tf.function(model, reduce_retracing=True)
    batches = Batches(manifest, representation, run.batch_size).evaluation(split)
    with unreadable_as_data_error(manifest):
        for features, labels, weights in batches:
            probabilities = answer(features).numpy()
            if not np.isfinite(probabilities).all():
                raise DataError(
                    f"{run.path(MODEL_FILE)}: its answers are not numbers: the training diverged; "
                    "train again with a lower --learning-rate"
                )
            rows = weights.numpy() > 0
            yield labels.numpy()[rows], probabilities[rows], features["length"].numpy()[rows]


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

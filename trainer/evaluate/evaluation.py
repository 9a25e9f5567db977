"""The evaluation of a trained model on one split of a dataset."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from charseq.console.messages import compare_names
from charseq.console.terminal import escape_terminal
from charseq.errors import DataError
from charseq.measures.metrics import Evaluation, MetricsAccumulator, worst_labels
from charseq.measures.sureness import (
    TARGETS,
    SetsAccumulator,
    UncalibratedAccumulator,
    find_set_score,
)
from charseq.models.calibration import Calibration, read_calibration
from trainer.baseline.comparison import NgramAccumulator
from trainer.baseline.saved import load_baseline
from trainer.batch_predictions import Predictions, predict_batches
from trainer.data.dataset import Dataset
from trainer.evaluate.keras_file import load_keras_model
from trainer.run_directory import MODEL_FILE, Run

if TYPE_CHECKING:
    import keras


# What fits on a terminal without scrolling; report.html shows more.
_SHOWN_LABELS = 20
_SHOWN_WIDTH = 32


def evaluate(
    run: Run,
    dataset: Dataset,
    split: str,
    trust_model: bool = False,
    observe: Callable[[Predictions], None] | None = None,
    model: keras.Model | None = None,
) -> Evaluation:
    """Return the metrics of a run's model on a split.

    Args:
        run: a complete one.
        dataset: with the ids of the run's dataset.
        split: of it.
        trust_model: load the model even if it has layers that the trainer does not use.
        observe: called with the predictions of each batch.
        model: of the run, if it is loaded already.

    Raises:
        DataError: the dataset does not fit the model, the split has no row, a shard is corrupted,
            the model has other layers than the trainer uses, its outputs are not finite, or the
            n-gram baseline or the calibration of the run is damaged.
    """
    from trainer.data.representation import restore_ids

    train_counts = dataset.manifest.counts_of_labels("train")
    metrics = MetricsAccumulator(len(run.labels), run.max_length, train_counts)
    baseline = load_baseline(run)
    beside = baseline and NgramAccumulator(baseline, run.max_length, train_counts)
    calibration = read_calibration(run.directory)
    calibrated = calibration and _Calibrated(calibration, len(run.labels))
    for batch in predict(run, dataset, split, trust_model, model):
        metrics.add(batch.labels, batch.probabilities, batch.lengths, batch.weights)
        if calibrated:
            calibrated.add(batch)
        if observe:
            observe(batch)
        if beside:
            ids = restore_ids(batch.inputs, batch.lengths, run.representation, dataset.manifest)
            beside.add(ids, batch.labels, batch.probabilities, batch.lengths)
    evaluation = metrics.evaluation(split, dataset.manifest.fingerprint, run.labels)
    if calibrated:
        evaluation = calibrated.add_to(evaluation)
    return beside.add_to(evaluation) if beside else evaluation


class _Calibrated:
    """Sums over the rows so far of what the calibration of a run gives them."""

    def __init__(self, calibration: Calibration, num_labels: int) -> None:
        self._uncalibrated = UncalibratedAccumulator(calibration.temperature)
        self._sets = SetsAccumulator(calibration.thresholds(TARGETS), num_labels)

    def add(self, batch: Predictions) -> None:
        self._uncalibrated.add(batch.labels, batch.probabilities)
        self._sets.add(batch.labels, batch.probabilities)

    def add_to(self, evaluation: Evaluation) -> Evaluation:
        uncalibrated, sets = self._uncalibrated.uncalibrated(), self._sets.scores()
        return replace(evaluation, uncalibrated=uncalibrated, sets=sets)


def format_evaluation(evaluation: Evaluation) -> str:
    """Return the metrics as a few lines of text; of many labels, those with the lowest F1."""
    labels, left_out = worst_labels(evaluation.labels, _SHOWN_LABELS)
    names = [escape_terminal(score.label, _SHOWN_WIDTH) for score in labels]
    width = max(map(len, [*names, "label"]))
    lines = [
        f"{evaluation.rows:,} rows: accuracy {evaluation.accuracy:.4f}, "
        f"top-3 accuracy {evaluation.top3_accuracy:.4f}, macro F1 {evaluation.macro_f1:.4f}, "
        f"loss {evaluation.loss:.4f}, calibration error {evaluation.calibration_error:.4f}",
        *_format_baselines(evaluation),
        *_format_weighted(evaluation),
        *_format_calibrated(evaluation),
        f"{'label':<{width}}  {'support':>9}  precision  recall      F1",
    ]
    lines += [
        f"{name:<{width}}  {score.support:>9,}  {score.precision:>9.4f}  {score.recall:.4f}  "
        f"{score.f1:.4f}"
        for name, score in zip(names, labels, strict=True)
    ]
    if left_out:
        lines.append(f"these have the lowest F1; {left_out:,} more labels in the files below")
    return "\n".join(lines)


def _format_baselines(evaluation: Evaluation) -> Iterator[str]:
    """Yield the lines of a table of the model and its baselines; – for one that is not known."""
    yield f"{'':<19}  accuracy  macro F1    loss"
    for name, scores in (
        ("model", evaluation),
        ("n-gram baseline", evaluation.ngram_baseline),
        ("most frequent label", evaluation.baseline),
    ):
        values = (scores.accuracy, scores.macro_f1, scores.loss) if scores else ()
        accuracy, macro_f1, loss = (f"{value:.4f}" for value in values) if values else "–––"
        yield f"{name:<19}  {accuracy:>8}  {macro_f1:>8}  {loss:>6}"


def _format_weighted(evaluation: Evaluation) -> Iterator[str]:
    """Yield the metrics by the weights of the rows, if they have any."""
    if (scores := evaluation.weighted) is not None:
        yield (
            f"by weight, {scores.weight:g} in all: accuracy {scores.accuracy:.4f}, top-3 accuracy "
            f"{scores.top3_accuracy:.4f}, macro F1 {scores.macro_f1:.4f}, loss {scores.loss:.4f}"
        )


def _format_calibrated(evaluation: Evaluation) -> Iterator[str]:
    """Yield what the calibration of a run gives the rows, if it has one."""
    if (before := evaluation.uncalibrated) is not None:
        yield (
            f"calibrated by temperature {before.temperature:.3f}: log loss {before.loss:.4f} to "
            f"{evaluation.loss:.4f}, calibration error {before.calibration_error:.4f} to "
            f"{evaluation.calibration_error:.4f}"
        )
    if (score := find_set_score(evaluation.sets)) is not None:
        yield (
            f"sets of labels at {score.target:g}: hold the right one of "
            f"{100 * score.coverage:.1f} % of the rows, {score.mean_size:.2f} labels on average"
        )


def predict(
    run: Run,
    dataset: Dataset,
    split: str,
    trust_model: bool = False,
    model: keras.Model | None = None,
) -> Iterator[Predictions]:
    """Yield the predictions of a run's model for a split, by batch, in the order of the records.

    trust_model, model: as in `evaluate`.

    Raises:
        DataError: as `evaluate`.
    """
    import tensorflow as tf

    from trainer.data.batches import Batches, resolve_batch_size
    from trainer.settings import resolve_representation

    check_same_ids(run, dataset)
    dataset.check_not_empty(split)
    representation = resolve_representation(run.representation, dataset)
    path = run.path(MODEL_FILE)
    model = model or load_keras_model(path, trust_model)
    batch_size = resolve_batch_size(run.batch_size, dataset.manifest.records(split))
    batches = Batches(dataset, representation, batch_size)
    yield from predict_batches(
        tf.function(model, reduce_retracing=True, autograph=False), path, batches, split
    )


def check_same_ids(run: Run, dataset: Dataset) -> None:
    """Check that a dataset has the same ids of characters and labels as the run's dataset.

    Raises:
        DataError: it does not; the message names the difference.
    """
    for name in ("max_length", "alphabet_size", "alphabet", "labels"):
        got, expected = getattr(dataset.manifest, name), getattr(run, name)
        if got != expected:
            difference = (
                compare_names(got, expected)
                if isinstance(got, tuple)
                else f"got {got}, expected {expected}"
            )
            raise DataError(
                f"{dataset.directory} does not fit the model of {run.directory}: "
                f"{name.replace('_', ' ')}: {difference}"
            )

"""The calibration of a trained model on the validation rows that it was not trained on."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from charseq.measures.conformal import label_scores
from charseq.measures.gains import Floats, Ints
from charseq.measures.reliability import losses_of, measure_calibration
from charseq.measures.set_methods import SET_METHODS
from charseq.measures.temperature import fit_temperature, rescale
from charseq.models.calibration import Calibration, Sureness
from trainer.batch_predictions import Predictions, predict_batches
from trainer.data.batches import Batches, resolve_batch_size
from trainer.data.dataset import Dataset

# Enough for shares within 0.3 points; more, or more probabilities, would take longer than seconds.
_MOST_ROWS = 10_000
_MOST_PROBABILITIES = 10_000_000
_BATCH_SIZE = 512
_SPLIT = "validation"
# Of a score in a file.
_DIGITS = 7


def calibrate(model: keras.Model, representation: str, dataset: Dataset) -> Calibration | None:
    """Return the calibration of a model; None if the dataset has no validation row.

    model: of the run, in float32; it stays as it is.

    Raises:
        DataError: a shard cannot be read, the answers of the model are not finite, or the dataset
            has been replaced.
    """
    if not dataset.manifest.records(_SPLIT):
        return None
    most = min(_MOST_ROWS, max(_MOST_PROBABILITIES // len(dataset.manifest.labels), 1))
    batch_size = resolve_batch_size(_BATCH_SIZE, dataset.manifest.records(_SPLIT))
    batches = Batches(dataset, representation, batch_size)
    function: Callable[[Mapping[str, tf.Tensor]], tf.Tensor] = tf.function(
        model, reduce_retracing=True, autograph=False
    )
    read: list[Predictions] = []
    rows = 0
    for batch in predict_batches(function, "the trained model", batches, _SPLIT):
        read.append(batch)
        rows += len(batch.labels)
        if rows >= most:
            break
    weights = [batch.weights for batch in read if batch.weights is not None]
    return fit_calibration(
        np.concatenate([batch.probabilities for batch in read])[:most],
        np.concatenate([batch.labels for batch in read])[:most],
        np.concatenate(weights)[:most] if weights else None,
    )


def fit_calibration(
    probabilities: npt.NDArray[np.float32], labels: Ints, weights: Floats | None = None
) -> Calibration:
    """Return the calibration of a model by its answers.

    Args:
        probabilities: (rows, labels).
        labels: (rows,) int64, ids.
        weights: (rows,) float64, for the temperature; of sets all rows count the same.
    """
    temperature = fit_temperature(probabilities, labels, weights)
    after = rescale(probabilities, temperature)
    scores = {method: label_scores(after, labels, method) for method in SET_METHODS}
    return Calibration(
        len(labels),
        temperature,
        _measure(probabilities, labels),
        _measure(after, labels),
        {method: _round(np.sort(values)) for method, values in scores.items()},
    )


def describe_calibration(calibration: Calibration | None) -> str:
    """Return what was done as a line for users."""
    if calibration is None:
        return "not calibrated: the dataset has no validation row"
    before, after = calibration.before, calibration.after
    return (
        f"calibrated on {calibration.rows:,} validation rows: temperature "
        f"{calibration.temperature:.3f}, log loss {before.log_loss:.4f} to {after.log_loss:.4f}, "
        f"calibration error {before.calibration_error:.4f} to {after.calibration_error:.4f}"
    )


def _measure(probabilities: npt.NDArray[np.floating], labels: Ints) -> Sureness:
    of_label = probabilities[np.arange(len(labels)), labels]
    return Sureness(float(losses_of(of_label).mean()), measure_calibration(probabilities, labels))


def _round(scores: Floats) -> tuple[float, ...]:
    return tuple(float(f"{score:.{_DIGITS}g}") for score in scores.tolist())

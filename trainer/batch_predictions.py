"""What a model predicts for the rows of a split, a batch at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from charseq.errors import DataError
from charseq.examples import WEIGHT
from charseq.measures.gains import Floats, Ints

if TYPE_CHECKING:
    import tensorflow as tf

    from trainer.data.batches import Batches


class Predictions(NamedTuple):
    """What a model predicts for the rows of a batch.

    labels: (batch,) int64, as in the records. probabilities: (batch, labels) float32. lengths:
    (batch,) int64, in characters. inputs: of the model, (batch, *input_shape). weights: (batch,)
    float64, of the records; None if they have none.
    """

    labels: Ints
    probabilities: npt.NDArray[np.float32]
    lengths: Ints
    inputs: npt.NDArray[Any]
    weights: Floats | None


def predict_batches(
    model: Callable[[Mapping[str, tf.Tensor]], tf.Tensor], path: str, batches: Batches, split: str
) -> Iterator[Predictions]:
    """Yield the predictions of a model for a split, by batch, in the order of the records.

    Args:
        model: from the features of a batch to probabilities (batch, labels) float32.
        path: of the model, for errors.
        batches: of the dataset.
        split: not empty.

    Raises:
        DataError: a shard is corrupted, the probabilities are not finite, or the dataset has been
            replaced meanwhile.
    """
    import tensorflow as tf

    from trainer.data.records import read_errors_as_data_error

    manifest = batches.manifest
    left, has_weight = manifest.records(split), WEIGHT in manifest.feature_spec
    scale = manifest.weight_scale(split)
    with read_errors_as_data_error(batches.dataset):
        for features, labels, weights in batches.evaluation(split):
            try:
                probabilities = model(features).numpy()
            except tf.errors.OpError as error:
                reason = error.message.partition("\n")[0]
                raise DataError(f"{path}: fails on a batch: {reason}") from error
            if not np.isfinite(probabilities).all():
                raise DataError(
                    f"{path}: its answers are not numbers: the training diverged; "
                    "train again with a lower --learning-rate"
                )
            # The last batch is filled up with copies of its rows.
            rows = min(left, len(probabilities))
            left -= rows
            yield Predictions(
                labels.numpy()[:rows],
                probabilities[:rows],
                features["length"].numpy()[:rows],
                features["sequence"].numpy()[:rows],
                weights.numpy()[:rows].astype(np.float64) / scale if has_weight else None,
            )
    batches.dataset.check_unchanged()

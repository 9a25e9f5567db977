"""The column `set` of predictions: the labels that hold the right one as often as wanted."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from apache_beam.io.filesystems import FileSystems

from charseq.errors import DataError
from charseq.files import parse_json_object
from charseq.measures.conformal import count_in_sets
from charseq.models.calibration import parse_calibration
from charseq.models.saved_model import CALIBRATION_ASSET
from pipeline.predict.model import Model
from pipeline.runtime.filesystems import open_file


class SetRule(NamedTuple):
    """Which labels are in a set; see `charseq.measures.conformal`."""

    method: str
    threshold: float


def read_set_rule(model: Model, method: str, coverage: float) -> SetRule:
    """Return the rule of the sets that hold the right label as often as `coverage` says.

    Raises:
        DataError: the model has no calibration, or a damaged one, or it was calibrated on so few
            rows that all labels would be in every set.
    """
    if CALIBRATION_ASSET not in {file.path for file in model.files}:
        raise DataError(
            f"{model.directory} holds no {CALIBRATION_ASSET}, without which there are no sets of "
            "labels: train a model with this version on a dataset with validation rows, or leave "
            "out --coverage"
        )
    path = FileSystems.join(model.directory, CALIBRATION_ASSET)
    with open_file(path) as file:
        calibration = parse_calibration(parse_json_object(file.read(), path), path)
    threshold = calibration.threshold(method, coverage)
    if threshold == math.inf:
        rows = calibration.rows
        highest = math.floor(1000 * rows / (rows + 1)) / 1000
        raise DataError(
            f"--coverage {coverage:g}: {model.directory} was calibrated on {rows:,} validation "
            f"rows, so few that all labels would be in every set: choose {highest:g} or less, or "
            "train a model on a dataset with more of them"
        )
    return SetRule(method, threshold)


def find_sets(
    probabilities: npt.NDArray[np.float32], labels: pa.StringArray, rule: SetRule
) -> pa.ListArray:
    """Return the set of each of n rows, (n,) list of strings, the most probable label first.

    Args:
        probabilities: (n, labels).
        labels: (labels,) string.
        rule: of the sets.
    """
    # Sorting is stable: of equally probable labels the lower id comes first.
    order = np.argsort(-probabilities, axis=1, kind="stable")
    falling = np.take_along_axis(probabilities, order, axis=1)
    sizes = count_in_sets(falling, rule.threshold, rule.method)
    most = int(sizes.max())
    ids = order[:, :most][np.arange(most) < sizes[:, np.newaxis]]
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), labels.take(pa.array(ids)))

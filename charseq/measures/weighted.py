"""Metrics in which each row counts as its weight."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from charseq.measures.gains import Floats, Ints


@dataclass(frozen=True)
class WeightedScores:
    """The metrics of `Evaluation` of the same names, by the weights of the rows.

    weight: of all rows together.
    """

    weight: float
    loss: float
    accuracy: float
    top3_accuracy: float
    macro_f1: float


class WeightedAccumulator:
    """Sums over the rows so far, each times its weight."""

    def __init__(self, num_labels: int) -> None:
        # Of all rows: weight, loss, hits and hits among the first three.
        self._sums = np.zeros(4)
        # By label: the weight of hits, of the label's rows, and of rows predicted as it.
        self._by_label = np.zeros((3, num_labels))

    def add(
        self,
        weights: Floats,
        labels: Ints,
        predicted: Ints,
        losses: Floats,
        is_top3: npt.NDArray[np.bool_],
    ) -> None:
        """Add the rows of a batch, (batch,) each; labels, predicted: ids."""
        hits = np.where(predicted == labels, weights, 0)
        sums = (weights, weights * losses, hits, np.where(is_top3, weights, 0))
        self._sums += [each.sum() for each in sums]
        columns = ((labels, hits), (labels, weights), (predicted, weights))
        size = self._by_label.shape[1]
        self._by_label += [np.bincount(ids, values, size) for ids, values in columns]

    def merge(self, other: WeightedAccumulator) -> None:
        """Add the rows of another accumulator for the same model."""
        self._sums += other._sums
        self._by_label += other._by_label

    def scores(self) -> WeightedScores | None:
        """Return the metrics of the rows so far; None if no row had a weight."""
        weight = float(self._sums[0])
        if weight == 0:
            return None
        loss, accuracy, top3_accuracy = (self._sums[1:] / weight).tolist()
        hits, support, predictions = self._by_label
        occurs = support + predictions > 0
        f1 = 2 * hits[occurs] / (support + predictions)[occurs]
        return WeightedScores(weight, loss, accuracy, top3_accuracy, float(f1.mean()))

"""The rows of each label that a model is most certain of, right and wrong, as they come."""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from charseq.measures.conformal import Probabilities
from charseq.measures.gains import Ints

# The labels that are shown: those with the most wrong rows.
SHOWN_LABELS = 30
_MOST_RIGHT, _MOST_WRONG = 3, 5
# Rows whose n-grams are measured, over all labels, the first that are predicted as each.
_SAMPLED_ROWS = 1000
# What is kept of a row, in characters, and of all rows, in bytes of ids.
_MOST_CHARACTERS = 1000
_MOST_BYTES = 1 << 28


class Row(NamedTuple):
    """A row that is kept.

    ids: (kept,) int32, of its first characters. length: of all of it. label, predicted: their
    numbers. probability: of `predicted`.
    """

    ids: npt.NDArray[np.int32]
    length: int
    label: int
    predicted: int
    probability: float

    @property
    def is_whole(self) -> bool:
        """Whether all of it was kept."""
        return len(self.ids) == self.length


class CertainRows:
    """The rows so far of which a model is most certain, and a sample of what it predicts.

    Memory grows with the labels, up to a quarter of a gigabyte of text, and not with the rows. Of
    rows that are as certain, the first are kept.

    num_labels: of the model.
    """

    def __init__(self, num_labels: int) -> None:
        self._sampled_each = max(_SAMPLED_ROWS // min(num_labels, SHOWN_LABELS), 1)
        kept_rows = num_labels * (_MOST_RIGHT + _MOST_WRONG + self._sampled_each)
        self._characters = min(_MOST_CHARACTERS, max(_MOST_BYTES // (4 * kept_rows), 1))
        self._right = _MostCertain(num_labels, _MOST_RIGHT)
        self._wrong = _MostCertain(num_labels, _MOST_WRONG)
        self._sampled: list[list[Row]] = [[] for _ in range(num_labels)]
        self._num_sampled = np.zeros(num_labels, np.int64)
        self._num_wrong = np.zeros(num_labels, np.int64)
        self._is_seen = np.zeros(num_labels, np.bool_)

    def add(self, labels: Ints, probabilities: Probabilities, ids: Ints, lengths: Ints) -> None:
        """Add the rows of a batch: (batch,), (batch, labels), (batch, timesteps) and (batch,)."""
        predicted = probabilities.argmax(axis=1)
        certainty = probabilities[np.arange(len(labels)), predicted].astype(np.float64)
        hit = predicted == labels
        self._num_wrong += np.bincount(labels[~hit], minlength=len(self._num_wrong))
        self._is_seen[labels] = True

        def keep(row: int) -> Row:
            length = int(lengths[row])
            kept = ids[row, : min(length, self._characters)].astype(np.int32)
            return Row(kept, length, int(labels[row]), int(predicted[row]), float(certainty[row]))

        for most_certain, chosen in ((self._right, hit), (self._wrong, ~hit)):
            for row in most_certain.find_candidates(labels, certainty, chosen):
                most_certain.add(keep(row))
        for row in np.flatnonzero(self._num_sampled[predicted] < self._sampled_each).tolist():
            if self._num_sampled[predicted[row]] < self._sampled_each:
                self._num_sampled[predicted[row]] += 1
                self._sampled[predicted[row]].append(keep(row))

    def shown_labels(self) -> list[int]:
        """Return the labels that have rows, those with the most wrong ones first, or only these."""
        seen = np.flatnonzero(self._is_seen).tolist()
        return sorted(seen, key=lambda label: -self._num_wrong[label])[:SHOWN_LABELS]

    def right(self, label: int) -> Sequence[Row]:
        """Return the rows of a label that are predicted as it, the most certain first."""
        return self._right.rows[label]

    def wrong(self, label: int) -> Sequence[Row]:
        """Return the rows of a label that are predicted as others, the most certain first."""
        return self._wrong.rows[label]

    def sampled(self, label: int) -> Sequence[Row]:
        """Return the first rows that are predicted as a label, of whatever label they are."""
        return self._sampled[label]


class _MostCertain:
    """The rows of each label with the highest probabilities, at most so many of each."""

    def __init__(self, num_labels: int, most: int) -> None:
        self.rows: list[list[Row]] = [[] for _ in range(num_labels)]
        self._most = most
        # A row below the least of a full list need not be looked at.
        self._least = np.full(num_labels, -1.0)

    def find_candidates(
        self, labels: Ints, certainty: npt.NDArray[np.float64], chosen: npt.NDArray[np.bool_]
    ) -> list[int]:
        found: list[int] = np.flatnonzero(chosen & (certainty > self._least[labels])).tolist()
        return found

    def add(self, row: Row) -> None:
        rows = self.rows[row.label]
        insort(rows, row, key=lambda one: -one.probability)
        del rows[self._most :]
        if len(rows) == self._most:
            self._least[row.label] = rows[-1].probability

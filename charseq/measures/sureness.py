"""How far the answers of a model can be relied on, from sums that batches are added to.

Three measures, and memory of none grows with the rows: the accuracy on the surest rows if the
others are left without an answer, how often sets of labels hold the right one, and what the
temperature of a model changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from charseq.measures.conformal import (
    Probabilities,
    count_up_to,
    rank_labels,
    score_all,
    sort_falling,
)
from charseq.measures.gains import Floats, Ints
from charseq.measures.reliability import (
    RELIABILITY_BINS,
    calibration_error,
    losses_of,
    reliability_bins,
    sum_by_bin,
)
from charseq.measures.set_methods import LAC
from charseq.measures.temperature import rescale

# Of sets of labels: how often they are to hold the right one.
TARGETS = (0.8, 0.9, 0.95)
# Percent of the rows.
_SHARES = sorted({*range(2, 101, 2), 95})
# Bins have equal widths over ln(p / (1 - p)), so that rows are told apart whether nearly all of
# them are above 0.999, or none is above 0.01.
_BINS_PER_UNIT, _BINS = 64, 2048
_NEAREST = 1e-7  # Of a probability, to 0 and 1.


@dataclass(frozen=True)
class Answered:
    """The surest rows of a split, if the others are left without an answer.

    share: of the rows that are answered. accuracy: on these. min_probability: answering the rows
    whose highest probability is at least this answers that share of them, or slightly more.
    """

    share: float
    accuracy: float
    min_probability: float


@dataclass(frozen=True)
class Uncalibrated:
    """What the temperature of a model changed: the measures of the same names without it.

    temperature: by which the scores of the model are divided; they are in the weights.
    """

    temperature: float
    loss: float
    calibration_error: float


@dataclass(frozen=True)
class SetScore:
    """Sets of labels by the scores of validation rows; see `charseq.measures.conformal`.

    method: lac or aps. target: the share of the sets that is to hold the right label. coverage:
    the share that does. mean_size: labels in a set. covered: rows of each label, in id order, whose
    set holds it.
    """

    method: str
    target: float
    coverage: float
    mean_size: float
    covered: tuple[int, ...]


class AnsweredAccumulator:
    """Rows, and those that are predicted correctly, by their highest probability."""

    def __init__(self) -> None:
        self._counts = np.zeros((2, _BINS), np.int64)

    def add(self, highest: Probabilities, hits: npt.NDArray[np.bool_]) -> None:
        """Add the rows of a batch, (batch,) each."""
        bins = _bin_of(highest)
        for counts, chosen in zip(self._counts, (bins, bins[hits]), strict=True):
            counts += np.bincount(chosen, minlength=_BINS)

    def merge(self, other: AnsweredAccumulator) -> None:
        """Add the rows of another accumulator."""
        self._counts += other._counts

    def curve(self) -> tuple[Answered, ...]:
        """Return the accuracy by the share that is answered, ascending; there must be a row.

        Rows of one bin are answered in part where a share ends in it. Shares of less than one row
        are left out.
        """
        filled = np.flatnonzero(self._counts[0])[::-1]
        rows, hits = np.cumsum(self._counts[:, filled], axis=1)
        total = int(rows[-1])
        answered = np.array(
            [percent * total / 100 for percent in _SHARES if percent * total >= 100]
        )
        right = np.minimum(np.interp(answered, [0, *rows], [0, *hits]), answered)
        lowest = _lower_bounds(filled[np.searchsorted(rows, answered)])
        shares = [percent / 100 for percent in _SHARES[-len(answered) :]]
        columns = (shares, (right / answered).tolist(), lowest.tolist())
        return tuple(Answered(*point) for point in zip(*columns, strict=True))


class SetsAccumulator:
    """Sets of labels on the rows so far.

    thresholds: of each method and target, see `find_threshold`. num_labels: of the model.
    """

    def __init__(self, thresholds: Mapping[tuple[str, float], float], num_labels: int) -> None:
        self._thresholds = thresholds
        # By method and target: the rows of each label whose set holds it, and labels of all sets.
        self._covered = np.zeros((len(thresholds), num_labels), np.int64)
        self._sizes = [0] * len(thresholds)
        self._rows = 0

    def add(self, labels: Ints, probabilities: Probabilities) -> None:
        """Add the rows of a batch: ids (batch,) int64, and probabilities (batch, labels)."""
        self._rows += len(labels)
        ranks, falling = rank_labels(labels, probabilities), sort_falling(probabilities)
        scores = {method: score_all(falling, method) for method, _ in self._thresholds}
        for number, ((method, _), threshold) in enumerate(self._thresholds.items()):
            sizes = count_up_to(scores[method], threshold)
            self._sizes[number] += int(sizes.sum())
            covered = labels[ranks < sizes]
            self._covered[number] += np.bincount(covered, minlength=self._covered.shape[1])

    def scores(self) -> tuple[SetScore, ...]:
        """Return the score of each method and target; there must be a row."""
        each = zip(self._thresholds, self._covered.tolist(), self._sizes, strict=True)
        return tuple(
            SetScore(method, target, sum(covered) / self._rows, size / self._rows, tuple(covered))
            for (method, target), covered, size in each
        )


class UncalibratedAccumulator:
    """Sums over the rows so far of what a model predicts without its temperature."""

    def __init__(self, temperature: float) -> None:
        self._temperature = temperature
        self._loss = 0.0
        self._rows = 0
        self._bins = np.zeros((3, RELIABILITY_BINS))

    def add(self, labels: Ints, probabilities: Probabilities) -> None:
        """Add the rows of a batch: ids (batch,) int64, and probabilities with the temperature."""
        before = rescale(probabilities, 1 / self._temperature)
        self._rows += len(labels)
        self._loss += float(losses_of(before[np.arange(len(labels)), labels]).sum())
        self._bins += sum_by_bin(before, probabilities.argmax(axis=1) == labels)

    def uncalibrated(self) -> Uncalibrated:
        """Return the measures of the rows so far; there must be one."""
        error = calibration_error(reliability_bins(*self._bins), self._rows)
        return Uncalibrated(self._temperature, self._loss / self._rows, error)


def pool_sets(folds: Sequence[tuple[int, Sequence[SetScore]]]) -> tuple[SetScore, ...]:
    """Return the scores of all rows together, by those of parts; none if a part has none.

    folds: the rows of each part and their scores, of the same methods and targets.
    """
    total = sum(rows for rows, _ in folds)
    pooled = []
    for same in zip(*(scores for _, scores in folds), strict=False):
        covered = tuple(map(sum, zip(*(score.covered for score in same), strict=True)))
        size = sum(rows * score.mean_size for (rows, _), score in zip(folds, same, strict=True))
        first = same[0]
        pooled.append(
            SetScore(first.method, first.target, sum(covered) / total, size / total, covered)
        )
    return tuple(pooled)


def find_set_score(sets: Iterable[SetScore]) -> SetScore | None:
    """Return the score to name where there is room for one; None if there is none."""
    return next((one for one in sets if (one.method, one.target) == (LAC, TARGETS[-1])), None)


def _bin_of(highest: Probabilities) -> Ints:
    """Return the bin of each probability, (rows,) int64."""
    inside = np.clip(highest.astype(np.float64), _NEAREST, 1 - _NEAREST)
    units = np.floor(_BINS_PER_UNIT * np.log(inside / (1 - inside))).astype(np.int64)
    bins: Ints = np.clip(units + _BINS // 2, 0, _BINS - 1)
    return bins


def _lower_bounds(bins: Ints) -> Floats:
    """Return the least probability in each bin, (bins,) float64; 0 in the first."""
    logits = (bins - _BINS // 2) / _BINS_PER_UNIT
    lower: Floats = np.where(bins == 0, 0, 1 / (1 + np.exp(-logits)))
    return lower

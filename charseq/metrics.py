"""How good answers are: the measures of one model on one split, from sums that a batch adds to."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

RELIABILITY_BINS = 15
# A probability below counts as this one, as in Keras's loss: no single row can make it infinite.
LEAST_PROBABILITY = 1e-7
_TOP = 3
_NORMAL_95 = 1.959964  # Of a normal distribution, 95 % lie within so many deviations.


@dataclass(frozen=True)
class LabelScore:
    """How one label is told from the others; a share of no rows is 0.

    support: the rows that have it. precision: of the rows given it, the share that have it.
    recall: of the rows that have it, the share given it. f1: their harmonic mean.
    """

    label: str
    support: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class Confusion:
    """How often each label was given to rows of each other: cells with a row, in order.

    Three columns, (cells,) each: ids of the label that rows have and of the one they were given,
    and how many there are. Ids are places in `Evaluation.labels`.
    """

    label: tuple[int, ...]
    given: tuple[int, ...]
    rows: tuple[int, ...]


@dataclass(frozen=True)
class LengthScore:
    """The rows of one length, in characters, and the accuracy on them."""

    length: int
    rows: int
    accuracy: float


@dataclass(frozen=True)
class ReliabilityBin:
    """The rows whose highest probability is above `lower` and at most `upper`.

    confidence: the mean of that probability.
    """

    lower: float
    upper: float
    rows: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Evaluation:
    """A model on every row of a split: the keys and values of `evaluation-SPLIT.json`.

    fingerprint: of the dataset. loss: mean of -ln(probability of the row's label), in nats.
    accuracy: the share of rows given their label; of equal probabilities the lower id wins.
    top3_accuracy: the share of rows whose label is among the three of highest probability.
    macro_f1: the mean over the labels that some row has or was given.
    calibration_error: the expected calibration error, 0 to 1, over `reliability`: the mean over
    rows of |accuracy - confidence| of the row's bin, with 15 bins of equal width over the highest
    probability (Guo et al. 2017, On Calibration of Modern Neural Networks).
    labels: in id order. lengths and reliability: those with a row, ascending.
    """

    split: str
    fingerprint: str
    rows: int
    loss: float
    accuracy: float
    top3_accuracy: float
    macro_f1: float
    calibration_error: float
    labels: tuple[LabelScore, ...]
    confusion: Confusion
    lengths: tuple[LengthScore, ...]
    reliability: tuple[ReliabilityBin, ...]

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Evaluation:
        """The evaluation of which `asdict` and JSON made `content`.

        Raises:
            KeyError, TypeError: it is not of this form.
        """
        confusion = {name: tuple(column) for name, column in content["confusion"].items()}
        parts = {
            "labels": tuple(LabelScore(**one) for one in content["labels"]),
            "confusion": Confusion(**confusion),
            "lengths": tuple(LengthScore(**one) for one in content["lengths"]),
            "reliability": tuple(ReliabilityBin(**one) for one in content["reliability"]),
        }
        return cls(**{**content, **parts})


class MetricsAccumulator:
    """MetricSums over rows, from which every measure follows.

    Their size depends on the labels, the lengths and the pairs of labels that were confused, not
    on the rows.
    """

    def __init__(self, labels: int, max_length: int) -> None:
        self._labels = labels
        self._loss, self._top = 0.0, 0
        # A matrix of 10,000 labels would take 800 MB, and hold few numbers but 0.
        self._cells: Counter[int] = Counter()
        self._lengths = np.zeros((2, max_length + 1), np.int64)
        self._bins = np.zeros((3, RELIABILITY_BINS))

    def add(self, labels: Ints, probabilities: npt.NDArray[np.floating], lengths: Ints) -> None:
        """Count the rows of a batch.

        Args:
            labels: (batch,) int64, the ids that the rows have.
            probabilities: (batch, labels) float, of a row summing to 1.
            lengths: (batch,) int64, 1 to `max_length` characters.
        """
        given = probabilities.argmax(axis=1)
        right = given == labels
        own = probabilities[np.arange(len(labels)), labels]
        self._loss -= float(np.log(np.maximum(own, LEAST_PROBABILITY), dtype=np.float64).sum())
        self._top += int((_ranks(labels, probabilities, own) < _TOP).sum())
        cells, counts = np.unique(labels * self._labels + given, return_counts=True)
        self._cells.update(dict(zip(cells.tolist(), counts.tolist(), strict=True)))
        self._lengths += _in_bins(lengths, self._lengths.shape[1], right).astype(np.int64)
        highest = probabilities.max(axis=1).astype(np.float64)
        self._bins[:2] += _in_bins(_bin_of(highest), RELIABILITY_BINS, right)
        self._bins[2] += np.bincount(_bin_of(highest), highest, RELIABILITY_BINS)

    def evaluation(self, split: str, fingerprint: str, labels: Sequence[str]) -> Evaluation:
        """The measures over the rows so far, of which there must be one.

        Args:
            split: the name of the rows.
            fingerprint: of the dataset that they are from.
            labels: the names of the labels, in id order.
        """
        cells = np.array(sorted(self._cells), np.int64)
        label, given = np.divmod(cells, self._labels)
        count = np.array([self._cells[cell] for cell in cells.tolist()], np.int64)
        scores = score_labels(label, given, count, labels)
        occurring = {*label.tolist(), *given.tolist()}
        rows, hits = int(count.sum()), int(count[label == given].sum())
        bins = reliability(*self._bins)
        gaps = (one.rows * abs(one.accuracy - one.confidence) for one in bins)
        return Evaluation(
            split=split,
            fingerprint=fingerprint,
            rows=rows,
            loss=self._loss / rows,
            accuracy=hits / rows,
            top3_accuracy=self._top / rows,
            macro_f1=math.fsum(scores[one].f1 for one in occurring) / len(occurring),
            calibration_error=math.fsum(gaps) / rows,
            labels=scores,
            confusion=Confusion(
                tuple(label.tolist()), tuple(given.tolist()), tuple(count.tolist())
            ),
            lengths=tuple(
                LengthScore(length, row_count, right / row_count)
                for length, (row_count, right) in enumerate(self._lengths.T.tolist())
                if row_count
            ),
            reliability=bins,
        )


def _ranks(labels: Ints, probabilities: npt.NDArray[np.floating], own: Any) -> Ints:
    """(batch,) int64: how many labels a row's own comes after, as argmax would choose them."""
    lower_id = np.arange(probabilities.shape[1]) < labels[:, np.newaxis]
    before = (probabilities > own[:, np.newaxis]) | (
        (probabilities == own[:, np.newaxis]) & lower_id
    )
    ranks: Ints = before.sum(axis=1, dtype=np.int64)
    return ranks


def _in_bins(places: Ints, size: int, right: npt.NDArray[np.bool_]) -> Floats:
    """(2, size) float64: of the rows at each place, how many there are and how many are right."""
    return np.stack([np.bincount(places, weights, size) for weights in (None, right)])


_UPPER = np.arange(1, RELIABILITY_BINS + 1) / RELIABILITY_BINS


def _bin_of(highest: Floats) -> Ints:
    """The place of the least upper bound that is not exceeded; a float32 may be just above 1."""
    return np.minimum(np.searchsorted(_UPPER, highest), RELIABILITY_BINS - 1)


def reliability(rows: Floats, right: Floats, confidence: Floats) -> tuple[ReliabilityBin, ...]:
    """The bins with a row; each argument is (15,) float64, summed over the rows of a bin."""
    lower = (0.0, *_UPPER[:-1].tolist())
    columns = (lower, _UPPER.tolist(), rows.tolist(), right.tolist(), confidence.tolist())
    return tuple(
        ReliabilityBin(low, high, int(count), confidence=sure / count, accuracy=hits / count)
        for low, high, count, hits, sure in zip(*columns, strict=True)
        if count
    )


def score_labels(
    label: Ints, given: Ints, rows: Ints, names: Sequence[str]
) -> tuple[LabelScore, ...]:
    """Scores of each label, from the columns of a `Confusion`, (cells,) int64 each."""

    def total(ids: Ints, counts: Ints) -> Ints:
        return np.bincount(ids, counts, len(names)).astype(np.int64)

    right = label == given
    hits, support, answers = (
        total(label[right], rows[right]),
        total(label, rows),
        total(given, rows),
    )
    columns = (
        support.tolist(),
        _share(hits, answers).tolist(),
        _share(hits, support).tolist(),
        # The harmonic mean of precision and recall.
        _share(2 * hits, answers + support).tolist(),
    )
    return tuple(LabelScore(*score) for score in zip(names, *columns, strict=True))


def _share(part: Ints, whole: Ints) -> Floats:
    share: Floats = part / np.maximum(whole, 1)
    return share


def wilson_interval(share: float, rows: int) -> tuple[float, float]:
    """Where the share of all such rows lies, given that of `rows` of them: 95 % (Wilson 1927)."""
    square = _NORMAL_95**2
    centre = (share + square / (2 * rows)) / (1 + square / rows)
    spread = _NORMAL_95 * math.sqrt(share * (1 - share) / rows + square / (4 * rows**2))
    half = spread / (1 + square / rows)
    return max(centre - half, 0.0), min(centre + half, 1.0)


def worst_labels(labels: Sequence[LabelScore], count: int) -> tuple[list[LabelScore], int]:
    """The labels to look at, by support, and how many are left out.

    Of more than `count` labels these are the ones with the lowest F1 that have a row; of equals
    those with more rows.
    """
    if len(labels) > count:
        having_rows = [one for one in labels if one.support]
        worst = sorted(having_rows, key=lambda one: (one.f1, -one.support))[:count]
        return worst, len(labels) - len(worst)
    return sorted(labels, key=lambda one: -one.support), 0

"""Metrics of one model on one split, computed from sums that batches are added to."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from charseq.json_values import build
from charseq.measures.baseline import (
    Baseline,
    BaselineAccumulator,
    NgramBaseline,
    explain_trivial,
    label_shares,
)
from charseq.measures.conformal import Probabilities, rank_labels
from charseq.measures.gains import Floats, Ints
from charseq.measures.reliability import (
    RELIABILITY_BINS,
    ReliabilityBin,
    calibration_error,
    count_hits,
    losses_of,
    reliability_bins,
    sum_by_bin,
)
from charseq.measures.sureness import Answered, AnsweredAccumulator, SetScore, Uncalibrated
from charseq.measures.weighted import WeightedAccumulator, WeightedScores

# The evaluation beside predictions of batch prediction.
EVALUATION_FILE = "evaluation.json"
_TOP_K = 3
_NORMAL_95 = 1.959964  # 95 % of a normal distribution lie within this many standard deviations.


@dataclass(frozen=True)
class LabelScore:
    """The scores of one label against all others; a share of no rows is 0.

    support: rows of this label. precision: share of this label among the rows predicted as it.
    recall: share of the rows of this label that are predicted as it. f1: their harmonic mean.
    """

    label: str
    support: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class Confusion:
    """The confusion matrix in sparse form: its cells that hold a row, by label, then prediction.

    label, predicted: (cells,) ids, the places of labels in `Evaluation.labels`.
    rows: (cells,) rows of `label` that are predicted as `predicted`.
    """

    label: tuple[int, ...]
    predicted: tuple[int, ...]
    rows: tuple[int, ...]

    @classmethod
    def from_json(cls, content: Mapping[str, Sequence[int]]) -> Confusion:
        """Return the confusion in an `evaluation-SPLIT.json`.

        Files of the first version call the column `predicted` "given".

        Raises:
            KeyError, TypeError: `content` is not of this form.
        """
        predicted = content["given"] if "given" in content else content["predicted"]
        return cls(tuple(content["label"]), tuple(predicted), tuple(content["rows"]))


@dataclass(frozen=True)
class LengthScore:
    """The rows of one length, in characters, and the accuracy on them."""

    length: int
    rows: int
    accuracy: float


@dataclass(frozen=True)
class Evaluation:
    """A model on every row of a split: the keys and values of `evaluation-SPLIT.json`.

    fingerprint: of the dataset. loss: mean of -ln(probability of the row's label), in nats.
    accuracy: share of the rows predicted correctly; of equal probabilities the lower id wins.
    top3_accuracy: share of the rows whose label is among the three of highest probability.
    macro_f1: the mean over the labels that occur, as the label of a row or as a prediction.
    calibration_error: the expected calibration error, 0 to 1, over `reliability`: the mean over
    rows of |accuracy - confidence| of the row's bin, with 15 bins of equal width over the highest
    probability (Guo et al. 2017, On Calibration of Modern Neural Networks).
    labels: in id order. lengths, reliability: those with a row, ascending.
    baseline: the label shares of the train split, on the same rows. trivial: why the model is no
    better than they are; None if it is better. ngram_baseline: n-grams on the same rows; None where
    the run has none. not_better: why the model is no better than they are; None if it is, or there
    are none. Files of earlier versions have none of these. weighted: the metrics by the weights of
    the rows; None where they have none. answered: the accuracy on the surest rows, by their share.
    uncalibrated, sets: without the temperature of the run, and of sets of labels by its validation
    scores; None and empty where it has no calibration. Files of earlier versions have none.
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
    baseline: Baseline | None = None
    trivial: str | None = None
    ngram_baseline: NgramBaseline | None = None
    not_better: str | None = None
    weighted: WeightedScores | None = None
    answered: tuple[Answered, ...] = ()
    uncalibrated: Uncalibrated | None = None
    sets: tuple[SetScore, ...] = ()

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Evaluation:
        """Return the evaluation in an `evaluation-SPLIT.json`, which `asdict` made.

        Other keys, which batch prediction adds, are passed over.

        Raises:
            KeyError, TypeError: `content` is not of this form.
        """
        names = {field.name for field in fields(cls)}
        content = {name: value for name, value in content.items() if name in names}
        confusion = asdict(Confusion.from_json(content["confusion"]))
        return build(cls, {**content, "confusion": confusion})


class MetricsAccumulator:
    """Sums over the rows so far, from which an `Evaluation` is computed.

    Memory grows with the labels, the lengths and the pairs of labels that are confused, not with
    the rows.

    num_labels: of the model and of the rows together. train_counts: the rows of the train split by
    label, of the first ids; no row has a label beyond them.
    """

    def __init__(self, num_labels: int, max_length: int, train_counts: Sequence[int]) -> None:
        self._num_labels = num_labels
        self._baseline = BaselineAccumulator(label_shares(train_counts))
        self._loss = 0.0
        self._top_k_hits = 0
        # Rows by label · num_labels + predicted. Sparse: a matrix of 10,000 labels would take
        # 800 MB, nearly all of them zeros.
        self._cells: Counter[int] = Counter()
        # Rows and hits by length; rows, hits and summed confidence by reliability bin.
        self._lengths = np.zeros((2, max_length + 1), np.int64)
        self._bins = np.zeros((3, RELIABILITY_BINS))
        self._weighted = WeightedAccumulator(num_labels)
        self._answered = AnsweredAccumulator()

    def add(
        self,
        labels: Ints,
        probabilities: Probabilities,
        lengths: Ints,
        weights: Floats | None = None,
    ) -> None:
        """Add the rows of a batch.

        Args:
            labels: (batch,) int64, the ids of the rows' labels.
            probabilities: (batch, labels) float; each row sums to 1.
            lengths: (batch,) int64, 1 to `max_length` characters.
            weights: (batch,) float64, of the rows; None if they have none.
        """
        predicted = probabilities.argmax(axis=1)
        hits = predicted == labels
        of_label = probabilities[np.arange(len(labels)), labels]
        losses = losses_of(of_label)
        self._loss += float(losses.sum())
        self._baseline.add(labels, losses)
        is_top_k = rank_labels(labels, probabilities) < _TOP_K
        self._top_k_hits += int(is_top_k.sum())
        if weights is not None:
            self._weighted.add(weights, labels, predicted, losses, is_top_k)
        cells, counts = np.unique(labels * self._num_labels + predicted, return_counts=True)
        self._cells.update(dict(zip(cells.tolist(), counts.tolist(), strict=True)))
        self._lengths += count_hits(lengths, self._lengths.shape[1], hits).astype(np.int64)
        self._bins += sum_by_bin(probabilities, hits)
        self._answered.add(probabilities.max(axis=1), hits)

    @property
    def rows(self) -> int:
        """The number of rows so far."""
        return self._cells.total()

    def merge(self, other: MetricsAccumulator) -> None:
        """Add the rows of another accumulator for the same model."""
        self._baseline.merge(other._baseline)
        self._loss += other._loss
        self._top_k_hits += other._top_k_hits
        self._cells.update(other._cells)
        self._lengths += other._lengths
        self._bins += other._bins
        self._weighted.merge(other._weighted)
        self._answered.merge(other._answered)

    def evaluation(self, split: str, fingerprint: str, labels: Sequence[str]) -> Evaluation:
        """Return the metrics of the rows so far; there must be at least one.

        Args:
            split: the name of the rows.
            fingerprint: of the dataset that holds them.
            labels: the names of the labels, in id order.
        """
        label, predicted, counts = self._confusion_columns()
        scores = score_labels(label, predicted, counts, labels)
        bins = reliability_bins(*self._bins)
        rows = int(counts.sum())
        loss, baseline = self._loss / rows, self._baseline.baseline()
        support, predictions = (count_ids(ids, counts, len(labels)) for ids in (label, predicted))
        return Evaluation(
            split=split,
            fingerprint=fingerprint,
            rows=rows,
            loss=loss,
            accuracy=int(counts[label == predicted].sum()) / rows,
            top3_accuracy=self._top_k_hits / rows,
            macro_f1=_macro_f1(scores, {*label.tolist(), *predicted.tolist()}),
            calibration_error=calibration_error(bins, rows),
            labels=scores,
            confusion=Confusion(
                tuple(label.tolist()), tuple(predicted.tolist()), tuple(counts.tolist())
            ),
            lengths=_score_lengths(self._lengths),
            reliability=bins,
            baseline=baseline,
            trivial=explain_trivial(loss, baseline, labels, support, predictions),
            weighted=self._weighted.scores(),
            answered=self._answered.curve(),
        )

    def _confusion_columns(self) -> tuple[Ints, Ints, Ints]:
        """Return the columns of a `Confusion`, (cells,) int64 each."""
        cells = sorted(self._cells)
        label, predicted = np.divmod(np.array(cells, np.int64), self._num_labels)
        return label, predicted, np.array([self._cells[cell] for cell in cells], np.int64)


def _macro_f1(scores: Sequence[LabelScore], occurring: Collection[int]) -> float:
    """Return the mean F1 of the labels with the ids `occurring`."""
    return math.fsum(scores[label].f1 for label in occurring) / len(occurring)


def _score_lengths(counts: Ints) -> tuple[LengthScore, ...]:
    """Return the score of each length with a row; `counts` (2, lengths) holds rows and hits."""
    return tuple(
        LengthScore(length, rows, hits / rows)
        for length, (rows, hits) in enumerate(counts.T.tolist())
        if rows
    )


def count_ids(ids: Ints, rows: Ints, size: int) -> Ints:
    """Return the rows of each id below `size`, (size,) int64; ids and rows are (cells,) int64."""
    return np.bincount(ids, rows, size).astype(np.int64)


def score_labels(
    label: Ints, predicted: Ints, rows: Ints, names: Sequence[str]
) -> tuple[LabelScore, ...]:
    """Return the score of each label, from the columns of a `Confusion`, (cells,) int64 each."""
    hit = label == predicted
    hits, support, predictions = (
        count_ids(ids, counts, len(names))
        for ids, counts in ((label[hit], rows[hit]), (label, rows), (predicted, rows))
    )
    columns = (
        support.tolist(),
        _share(hits, predictions).tolist(),
        _share(hits, support).tolist(),
        # The harmonic mean of precision and recall.
        _share(2 * hits, predictions + support).tolist(),
    )
    return tuple(LabelScore(*score) for score in zip(names, *columns, strict=True))


def _share(part: Ints, whole: Ints) -> Floats:
    share: Floats = part / np.maximum(whole, 1)
    return share


def wilson_interval(share: float, rows: int) -> tuple[float, float]:
    """Return the 95 % confidence interval of a share of `rows` rows (Wilson 1927)."""
    square = _NORMAL_95**2
    centre = (share + square / (2 * rows)) / (1 + square / rows)
    spread = _NORMAL_95 * math.sqrt(share * (1 - share) / rows + square / (4 * rows**2))
    half = spread / (1 + square / rows)
    return max(centre - half, 0.0), min(centre + half, 1.0)


def worst_labels(labels: Sequence[LabelScore], count: int) -> tuple[list[LabelScore], int]:
    """Return the labels worth a table, and how many are left out.

    Up to `count` labels are all returned, by descending support. Of more, those with rows and the
    lowest F1 are; of equal F1, those with more rows.
    """
    if len(labels) > count:
        with_rows = [score for score in labels if score.support]
        worst = sorted(with_rows, key=lambda score: (score.f1, -score.support))[:count]
        return worst, len(labels) - len(worst)
    return sorted(labels, key=lambda score: -score.support), 0

"""A model beside baselines: whether it has learned anything, and more than n-grams have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from charseq.console.terminal import escape_terminal
from charseq.measures.gains import Floats, GainAccumulator, Ints

# Of the rows: from here on a model gives one label to all of them but a few.
_NEARLY_ALL = 0.999
_SHOWN_WIDTH = 32


@dataclass(frozen=True)
class Baseline:
    """The label shares of the train split, as an answer to every row.

    loss: mean of -ln(share of the row's label), in nats. accuracy, macro_f1: as of `Evaluation`;
    the prediction is the most frequent label. gain_low, gain_high: the 95 % confidence interval of
    the nats by which the loss of the model is lower, by a bootstrap over the rows.
    """

    loss: float
    accuracy: float
    macro_f1: float
    gain_low: float
    gain_high: float


@dataclass(frozen=True)
class NgramBaseline:
    """A linear model of character n-grams, on the rows that a model is measured on.

    loss, accuracy, macro_f1: as of `Evaluation`. The others: the 95 % confidence intervals of the
    nats by which the loss of the model is lower, and of the share by which its accuracy is higher.
    """

    loss: float
    accuracy: float
    macro_f1: float
    loss_gain_low: float
    loss_gain_high: float
    accuracy_gain_low: float
    accuracy_gain_high: float


def label_shares(counts: Sequence[float]) -> Floats:
    """Return the share of each label, (labels,) float64, from its rows, or from their weights.

    Half a row is added to each, so that no share is 0 (Jeffreys prior).
    """
    rows = np.asarray(counts, np.float64) + 0.5
    shares: Floats = rows / rows.sum()
    return shares


class BaselineAccumulator:
    """The label shares beside a model, on the rows so far.

    shares: of the labels in id order, (labels,) float64, each above 0.
    """

    def __init__(self, shares: Floats) -> None:
        self._losses = -np.log(shares)
        self._most_frequent = int(shares.argmax())
        self._loss = 0.0
        self._support = np.zeros(len(shares), np.int64)
        self._gains = GainAccumulator()

    def add(self, labels: Ints, losses: Floats) -> None:
        """Add the rows of a batch.

        Args:
            labels: (batch,) int64, the ids of the rows' labels.
            losses: (batch,) float64, of the model on these rows, in nats.
        """
        baseline = self._losses[labels]
        self._loss += float(baseline.sum())
        self._support += np.bincount(labels, minlength=len(self._support))
        self._gains.add(baseline - losses)

    def merge(self, other: BaselineAccumulator) -> None:
        """Add the rows of another accumulator of the same shares."""
        self._loss += other._loss
        self._support += other._support
        self._gains.merge(other._gains)

    def baseline(self) -> Baseline:
        """Return the baseline on the rows so far; there must be at least one."""
        rows, right = int(self._support.sum()), int(self._support[self._most_frequent])
        # Of the labels that occur only the predicted one has an F1 that is not 0.
        macro_f1 = 2 * right / (rows + right) / np.count_nonzero(self._support)
        return Baseline(self._loss / rows, right / rows, macro_f1, *self._gains.interval())


def explain_trivial(
    loss: float, baseline: Baseline, labels: Sequence[str], support: Ints, predictions: Ints
) -> str | None:
    """Return why a model is trivial, as a phrase about it; None if it is not.

    Args:
        loss: of the model on some rows, in nats.
        baseline: on the same rows.
        labels: in id order.
        support: the rows of each label, (labels,) int64.
        predictions: the rows that are predicted as each label, (labels,) int64.
    """
    reasons = []
    rows, most = int(support.sum()), int(predictions.argmax())
    others = rows - int(support[most])
    if predictions[most] >= _NEARLY_ALL * rows > support.max():
        always = "always" if predictions[most] == rows else "nearly always"
        reasons.append(
            f"it {always} gives the label {escape_terminal(labels[most], _SHOWN_WIDTH)}: to "
            f"{predictions[most]:,} of {rows:,} rows, of which {others:,} have another"
        )
    if baseline.gain_low <= 0:
        reasons.append(
            f"beyond chance, its loss of {loss:.4f} is no better than {baseline.loss:.4f}, that of "
            "the label shares alone"
        )
    return "; ".join(reasons) or None


def explain_not_better(accuracy: float, loss: float, baseline: NgramBaseline) -> str | None:
    """Return why a model is not better than the n-grams, as a phrase; None if it is.

    It is better if its accuracy or its loss is, beyond chance, and neither is worse.

    Args:
        accuracy: of the model on some rows.
        loss: of the model on them, in nats.
        baseline: on the same rows.
    """
    lows = baseline.accuracy_gain_low, baseline.loss_gain_low
    highs = baseline.accuracy_gain_high, baseline.loss_gain_high
    if max(lows) > 0 and min(highs) >= 0:
        return None
    measures = (("accuracy", accuracy, baseline.accuracy), ("loss", loss, baseline.loss))
    reasons = [
        f"its {name} of {value:.4f} is {'no better' if high >= 0 else 'worse'} than {other:.4f}"
        for (name, value, other), low, high in zip(measures, lows, highs, strict=True)
        if low <= 0
    ]
    return f"beyond chance, {' and '.join(reasons)}"

"""A model beside the label shares alone: whether it has learned anything from the sequences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from charseq.console.terminal import escape_terminal

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_REPLICATES = 1000
_INTERVAL = (0.025, 0.975)
_SEED = 0
# Of the rows: from here on a model gives one label to all of them but a few.
_NEARLY_ALL = 0.999
_SHOWN_WIDTH = 32
# Gains of nearly the same size share a bin, 1,024 for each sign, each 2.4 % wider than the one
# before: so few that memory does not depend on the rows, and none holds gains of either sign.
_BINS = 1024
_SMALLEST, _LARGEST = 1e-9, 64.0


@dataclass(frozen=True)
class Baseline:
    """The label shares of the train split, as an answer to every row.

    loss: mean of -ln(share of the row's label), in nats. gain_low, gain_high: the 95 % confidence
    interval of the nats by which the loss of the model is lower, by a bootstrap over the rows.
    """

    loss: float
    gain_low: float
    gain_high: float


def label_shares(counts: Sequence[int]) -> Floats:
    """Return the share of each label, (labels,) float64, from its rows.

    Half a row is added to each, so that no share is 0 (Jeffreys prior).
    """
    rows = np.asarray(counts, np.float64) + 0.5
    shares: Floats = rows / rows.sum()
    return shares


class BaselineAccumulator:
    """Losses of a model and of the label shares on the rows so far.

    shares: of the labels in id order, (labels,) float64, each above 0.
    """

    def __init__(self, shares: Floats) -> None:
        self._losses = -np.log(shares)
        self._loss = 0.0
        # The rows and the summed gain of each bin.
        self._rows = np.zeros(2 * _BINS + 1, np.int64)
        self._gains = np.zeros(2 * _BINS + 1)

    def add(self, labels: Ints, losses: Floats) -> None:
        """Add the rows of a batch.

        Args:
            labels: (batch,) int64, the ids of the rows' labels.
            losses: (batch,) float64, of the model on these rows, in nats.
        """
        baseline = self._losses[labels]
        self._loss += float(baseline.sum())
        gains = baseline - losses
        bins = _bin_of(gains)
        self._rows += np.bincount(bins, minlength=len(self._rows))
        self._gains += np.bincount(bins, gains, len(self._gains))

    def baseline(self) -> Baseline:
        """Return the baseline on the rows so far; there must be at least one.

        Rows are drawn again from the bins, each with the mean gain of its bin.
        """
        filled = self._rows > 0
        rows, total = self._rows[filled], int(self._rows.sum())
        random = np.random.default_rng(_SEED)
        drawn = random.multinomial(total, rows / total, _REPLICATES)
        means = drawn @ (self._gains[filled] / rows) / total
        low, high = np.quantile(means, _INTERVAL).tolist()
        return Baseline(self._loss / total, low, high)


def _bin_of(gains: Floats) -> Ints:
    """Return the bin of each gain: its sign, and the logarithm of its size."""
    size = np.clip(np.abs(gains), _SMALLEST, _LARGEST) / _SMALLEST
    place = np.ceil(np.log(size) / math.log(_LARGEST / _SMALLEST) * (_BINS - 1)) + 1
    bins: Ints = (_BINS + np.sign(gains) * place).astype(np.int64)
    return bins


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

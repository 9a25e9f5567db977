"""A model beside the n-gram baseline of its run, on the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from charseq.measures.baseline import NgramBaseline, explain_not_better
from charseq.measures.conformal import Probabilities
from charseq.measures.gains import Floats, GainAccumulator, Ints
from charseq.measures.metrics import Evaluation, MetricsAccumulator
from charseq.measures.reliability import losses_of
from trainer.baseline.linear import LinearModel
from trainer.baseline.ngrams import distinct_ngrams


class NgramAccumulator:
    """Sums over the rows so far of what the baseline of a run predicts for them.

    baseline: of the run. max_length: of the rows. train_counts: as of `MetricsAccumulator`.
    """

    def __init__(self, baseline: LinearModel, max_length: int, train_counts: Sequence[int]) -> None:
        self._baseline = baseline
        self._metrics = MetricsAccumulator(len(train_counts), max_length, train_counts)
        self._losses, self._hits = GainAccumulator(), GainAccumulator()

    def add(
        self,
        ids: npt.NDArray[np.integer[Any]],
        labels: Ints,
        probabilities: Probabilities,
        lengths: Ints,
    ) -> None:
        """Add the rows of a batch.

        Args:
            ids: (batch, max_length).
            labels: (batch,) int64, the ids of the rows' labels.
            probabilities: (batch, labels) float, of the model.
            lengths: (batch,) int64, 1 to `max_length` characters.
        """
        own = self._baseline.probabilities(distinct_ngrams(ids, lengths))
        self._metrics.add(labels, own, lengths)
        (losses, hits), (own_losses, own_hits) = (
            _losses_and_hits(labels, each) for each in (probabilities, own)
        )
        self._losses.add(own_losses - losses)
        self._hits.add(hits - own_hits)

    def add_to(self, evaluation: Evaluation) -> Evaluation:
        """Return the evaluation of the model on these rows, with the baseline beside it."""
        names = [score.label for score in evaluation.labels]
        own = self._metrics.evaluation(evaluation.split, evaluation.fingerprint, names)
        baseline = NgramBaseline(
            own.loss,
            own.accuracy,
            own.macro_f1,
            *self._losses.interval(),
            *self._hits.interval(),
        )
        not_better = explain_not_better(evaluation.accuracy, evaluation.loss, baseline)
        return replace(evaluation, ngram_baseline=baseline, not_better=not_better)


def _losses_and_hits(labels: Ints, probabilities: Probabilities) -> tuple[Floats, Floats]:
    """Return the loss of each row, and 1 if it is predicted correctly, else 0; (batch,) each."""
    losses = losses_of(probabilities[np.arange(len(labels)), labels])
    return losses, (probabilities.argmax(axis=1) == labels).astype(np.float64)

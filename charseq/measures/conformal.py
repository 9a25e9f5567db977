"""Sets of labels that hold the right one as often as wanted: split conformal prediction.

A row's score says how unlike its label the model thought it. If the rows to answer are exchangeable
with those whose scores are known, the labels whose score is at most the k-th smallest known one,
k = ceil((rows + 1) · coverage), hold the right label with at least that probability.

Two scores, of which the first gives the smallest sets on average, and the second sets whose
coverage differs less between easy and hard rows:

- `lac`: 1 minus the probability of the label (Sadinle, Lei and Wasserman, 2019).
- `aps`: the sum of the probabilities of all labels that are more probable, and half of the label's
  own (Romano, Sesia and Candès, 2020, with one half in place of a random share, so that an answer
  is the same each time; the whole would put all labels into the sets of a model that is mostly
  sure).

Both sets are the most probable labels, down to some number. The most probable one is always among
them, so a model that is right more often than wanted has sets of one label that hold the right one
more often than wanted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from charseq.measures.gains import Floats, Ints
from charseq.measures.set_methods import LAC

# Of a rank: coverages such as 0.8 are not exact in float32.
RANK_TOLERANCE = 1e-3

Probabilities = npt.NDArray[np.floating]


def label_scores(probabilities: Probabilities, labels: Ints, method: str) -> Floats:
    """Return the scores of rows' own labels, (rows,) float64.

    Args:
        probabilities: (rows, labels).
        labels: (rows,) int64, ids.
        method: one of `SET_METHODS`.
    """
    of_label = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    if method == LAC:
        return 1 - of_label
    more: Floats = np.where(_is_before(labels, probabilities), probabilities, 0).sum(
        axis=1, dtype=np.float64
    )
    return more + of_label / 2


def find_threshold(scores: Sequence[float], coverage: float) -> float:
    """Return the highest score that a label of a set has; infinity where all labels are in it.

    Args:
        scores: of rows that the model was not fitted to, ascending.
        coverage: the share of sets that are to hold the right label, 0 to 1.
    """
    rank = find_rank(len(scores), coverage)
    return scores[rank - 1] if rank <= len(scores) else math.inf


def find_rank(rows: int, coverage: float) -> int:
    """Return which of the scores of `rows` rows is the threshold, from 1; rows + 1 for none."""
    return max(math.ceil((rows + 1) * coverage - RANK_TOLERANCE), 1)


def sort_falling(probabilities: Probabilities) -> Probabilities:
    """Return the probabilities of each row, (rows, labels), the highest first."""
    return -np.sort(-probabilities, axis=1)


def rank_labels(labels: Ints, probabilities: Probabilities) -> Ints:
    """Return how many labels come before a row's own, (rows,) int64, ordered as argmax does."""
    ranks: Ints = _is_before(labels, probabilities).sum(axis=1, dtype=np.int64)
    return ranks


def _is_before(labels: Ints, probabilities: Probabilities) -> npt.NDArray[np.bool_]:
    of_label = probabilities[np.arange(len(labels)), labels][:, np.newaxis]
    is_lower_id = np.arange(probabilities.shape[1]) < labels[:, np.newaxis]
    is_before: npt.NDArray[np.bool_] = (probabilities > of_label) | (
        (probabilities == of_label) & is_lower_id
    )
    return is_before


def count_in_sets(falling: Probabilities, threshold: float, method: str) -> Ints:
    """Return how many of the most probable labels are in each row's set, (rows,) int64, 1 or more.

    Args:
        falling: (rows, labels), their probabilities, the highest first.
        threshold: of `find_threshold`.
        method: one of `SET_METHODS`.
    """
    return count_up_to(score_all(falling, method), threshold)


def score_all(falling: Probabilities, method: str) -> Floats:
    """Return the scores of the labels of probabilities (rows, labels), the highest first."""
    if method == LAC:
        return 1 - falling.astype(np.float64)
    exact = falling.astype(np.float64)
    scores: Floats = np.cumsum(exact, axis=1) - exact / 2
    return scores


def count_up_to(scores: Floats, threshold: float) -> Ints:
    """Return how many labels are in each row's set, (rows,) int64, by scores (rows, labels)."""
    sizes: Ints = np.maximum(np.count_nonzero(scores <= threshold, axis=1), 1)
    return sizes

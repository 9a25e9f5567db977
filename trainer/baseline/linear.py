"""A linear classifier of rows of n-grams: multinomial logistic regression by Adagrad.

The scores of a row are those of the label shares, plus the sum of the vectors of its n-grams over
the root of their number (so that no row weighs more than another), times a matrix. Of up to 32
labels an n-gram has a weight for each, and the matrix is the identity. Of more, the vectors have 32
dimensions and the matrix is learned, too, as in fastText (Joulin et al. 2017): neither memory nor
time grows with n-grams times labels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from charseq.measures.baseline import label_shares
from charseq.measures.gains import Ints
from trainer.baseline.ngrams import BUCKETS, Ngrams

Floats32 = npt.NDArray[np.float32]

_MAX_DIMENSIONS = 32
# Products of a batch are then so small that BLAS computes them in one thread, where waking others
# takes longer than they do.
_BATCH_SIZE = 128
# Bits of a row's place in a batch, below those of a bucket in the 32 of a key.
_ROW_BITS = 7
# How far, at first, a step moves the score of a row all of whose n-grams are new.
_SCORE_STEP = 2.0
_MATRIX_RATE = 0.03
# Passes over the rows: as many as see these n-grams, as small sets need more and cost little.
_NGRAMS_SEEN = 1 << 24
_FEWEST_PASSES, _MOST_PASSES = 3, 10
# Of squared gradients: so small that it changes nothing, and 0 / 0 does not occur.
_TINY = np.float32(1e-12)
_SEED = 0


@dataclass(frozen=True)
class LinearModel:
    """A classifier of rows of n-grams.

    vectors: (buckets, dimensions) float32, zeros for an n-gram that was not seen. matrix:
    (dimensions, labels) float32. bias: (labels,) float32.
    """

    vectors: Floats32
    matrix: Floats32
    bias: Floats32

    def probabilities(self, ngrams: Ngrams) -> Floats32:
        """Return the probability of each label, (rows, labels); each row has an n-gram.

        Few rows at once: their vectors stay in the cache of the processor.
        """
        return np.concatenate(
            [
                _softmax(_mean_vectors(self.vectors, batch) @ self.matrix + self.bias)
                for batch in _cut(ngrams)
            ]
        )


def fit(
    ngrams: Ngrams, labels: Ints, num_labels: int, weights: Floats32 | None = None
) -> LinearModel:
    """Return a model of some rows in an order that is random, such as that of their hashes.

    The same rows give the same bits. The rate falls linearly to 0.

    Args:
        ngrams: of one row or more.
        labels: (rows,) int64.
        num_labels: of the model.
        weights: (rows,), what the loss of each row is multiplied by; None for 1.
    """
    counts = np.bincount(labels, weights, num_labels)
    dimensions = min(num_labels, _MAX_DIMENSIONS)
    vectors = np.zeros((BUCKETS, dimensions), np.float32)
    matrix = _first_matrix(dimensions, num_labels)
    bias = np.log(label_shares(counts.tolist())).astype(np.float32)
    rate = np.float32(_SCORE_STEP / np.sqrt(ngrams.counts.mean()))
    # Sums of squared gradients: of a vector their mean over its dimensions.
    vector_squares, matrix_squares = np.full(BUCKETS, _TINY), np.full_like(matrix, _TINY)
    batches = _cut(ngrams)
    steps = len(batches) * _passes(len(ngrams.buckets))
    for step in range(steps):
        place = step % len(batches)
        batch = batches[place]
        rows = slice(place * _BATCH_SIZE, (place + 1) * _BATCH_SIZE)
        left = np.float32(1 - step / steps)
        hidden = _mean_vectors(vectors, batch)
        errors = _softmax(hidden @ matrix + bias)
        errors[np.arange(len(errors)), labels[rows]] -= 1
        if weights is not None:
            errors *= weights[rows, np.newaxis]
        touched, gradients = _sum_by_bucket(batch, _over_root(errors @ matrix.T, batch))
        vector_squares[touched] += np.square(gradients).mean(axis=1)
        scales = left * rate / np.sqrt(vector_squares[touched])
        vectors[touched] -= gradients * scales[:, np.newaxis]
        if num_labels > dimensions:
            gradient = hidden.T @ errors
            matrix_squares += np.square(gradient)
            matrix -= left * np.float32(_MATRIX_RATE) * gradient / np.sqrt(matrix_squares)
    return LinearModel(vectors, matrix, bias)


def _first_matrix(dimensions: int, num_labels: int) -> Floats32:
    if dimensions == num_labels:
        return np.eye(num_labels, dtype=np.float32)
    random = np.random.default_rng(_SEED)
    matrix: Floats32 = random.standard_normal((dimensions, num_labels), np.float32)
    matrix /= np.sqrt(np.float32(dimensions))
    return matrix


def _passes(num_ngrams: int) -> int:
    return min(max(_NGRAMS_SEEN // num_ngrams, _FEWEST_PASSES), _MOST_PASSES)


def _cut(ngrams: Ngrams) -> list[Ngrams]:
    """Return the rows in batches."""
    firsts = np.arange(_BATCH_SIZE, len(ngrams.counts), _BATCH_SIZE)
    ends = np.cumsum(ngrams.counts)[firsts - 1]
    batches = zip(np.split(ngrams.buckets, ends), np.split(ngrams.counts, firsts), strict=True)
    return [Ngrams(*batch) for batch in batches]


def _mean_vectors(vectors: Floats32, ngrams: Ngrams) -> Floats32:
    """Return the sum of the vectors of each row over the root of their number."""
    first = np.cumsum(ngrams.counts) - ngrams.counts
    return _over_root(np.add.reduceat(vectors.take(ngrams.buckets, axis=0), first), ngrams)


def _over_root(values: Floats32, ngrams: Ngrams) -> Floats32:
    """Return values (rows, …) over the root of the number of the row's n-grams."""
    roots: Floats32 = np.sqrt(ngrams.counts, dtype=np.float32)
    return values / roots[:, np.newaxis]


def _sum_by_bucket(ngrams: Ngrams, rows: Floats32) -> tuple[npt.NDArray[np.int64], Floats32]:
    """Return the buckets of a batch, each once, and for each the sum of its rows' values.

    The buckets with their rows are sorted as one number, which is ten times as fast as argsort.
    """
    places = np.repeat(np.arange(len(rows), dtype=np.uint32), ngrams.counts)
    keys = np.sort((ngrams.buckets.astype(np.uint32) << np.uint32(_ROW_BITS)) | places)
    buckets = (keys >> np.uint32(_ROW_BITS)).astype(np.int64)
    first = np.flatnonzero(np.diff(buckets, prepend=-1))
    of_row = rows.take(keys & np.uint32(_BATCH_SIZE - 1), axis=0)
    return buckets[first], np.add.reduceat(of_row, first)


def _softmax(scores: Floats32) -> Floats32:
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    probabilities: Floats32 = exponentials / exponentials.sum(axis=1, keepdims=True)
    return probabilities

"""How unlike the rows of its training a sequence is: a small language model of all labels together.

The surprise of a sequence is the mean of -ln(probability) of its characters and of its end, each
given the characters before it; of n-grams, interpolated as in `trainer.ngrams.language_models`. Its
strangeness is the share of the validation rows that surprise the model less: 0.5 for a row like
others, 1 for one that is stranger than all of them.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from charseq.models.saved_model import IDS, LENGTH, STRANGENESS, SURPRISE
from trainer.ngrams.counts import NgramCounts
from trainer.ngrams.hashing import hash_ngrams, mark_ends
from trainer.ngrams.language_models import log_likelihoods
from trainer.strangeness.table import look_up, pack_counts

NGRAM_MAX = 4
# An unknown character is one of about so many: those that Unicode has, as of version 15.
_UNKNOWN_CHARACTERS = 150_000


class SurpriseModel(tf.Module):
    """The language model.

    Args:
        counts: of n-grams of 1 to `NGRAM_MAX` symbols, of one label.
        unknown_id: the largest id of a sequence.
    """

    def __init__(self, counts: NgramCounts, unknown_id: int) -> None:
        super().__init__()
        self._unknown_id = unknown_id
        # Attributes, as what is exported must own its constants.
        self._packed = tf.constant(pack_counts(counts))
        self._symbols = tf.constant(counts.symbols)

    def surprise(self, ids: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
        """Return the surprise of sequences in nats for each symbol, (batch,) float32.

        Args:
            ids: (batch, timesteps) int64.
            length: (batch,) int64, 1 or more.
        """
        marked = mark_ends(ids, length, self._unknown_id)
        hashes = tf.unstack(hash_ngrams(marked, NGRAM_MAX), axis=2)
        with_marks, num_symbols = tf.cast(length, tf.int32) + 2, self._unknown_id + 1
        counts = (look_up(self._packed, of_size) for of_size in hashes)
        known = log_likelihoods(counts, self._symbols, with_marks, num_symbols)[:, 0]
        known = tf.cast(known, tf.float32)
        is_unknown = tf.cast(ids == self._unknown_id, tf.float32)
        unknown = tf.reduce_sum(is_unknown, axis=1) * math.log(_UNKNOWN_CHARACTERS)
        return (unknown - known) / (tf.cast(length, tf.float32) + 1)


class StrangenessModel(tf.Module):
    """Surprise, and its place among that of the validation rows.

    Args:
        surprise: the language model.
        known: (rows,) float32, the surprise of validation rows, in any order.
    """

    def __init__(self, surprise: SurpriseModel, known: npt.NDArray[np.float32]) -> None:
        super().__init__()
        self._surprise = surprise
        self._known = tf.constant(np.sort(known), tf.float32)

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, None], tf.int64, name=IDS),
            tf.TensorSpec([None], tf.int64, name=LENGTH),
        ],
        autograph=False,
    )
    def strangeness_ids(self, ids: tf.Tensor, length: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return `surprise` and `strangeness` (batch,) float32 of what `encode` returned."""
        surprise, strangeness = self.measure(ids, length)
        return {SURPRISE: surprise, STRANGENESS: strangeness}

    def measure(self, ids: tf.Tensor, length: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return surprise in nats and strangeness, 0 to 1, of sequences, (batch,) float32 each.

        Args:
            ids: (batch, timesteps) int64.
            length: (batch,) int64, 1 or more.
        """
        surprise = self._surprise.surprise(ids, length)
        lower = tf.searchsorted(self._known, surprise)
        return surprise, tf.cast(lower, tf.float32) / tf.cast(tf.size(self._known), tf.float32)

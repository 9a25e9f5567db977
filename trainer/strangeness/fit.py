"""The strangeness model of a dataset: counted on train rows, compared with validation rows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from trainer.data.dataset import Dataset
from trainer.data.id_rows import IdRows, read_id_rows
from trainer.data.records import read_errors_as_data_error
from trainer.ngrams.counts import NgramCounts, Rows, count_ngrams
from trainer.ngrams.hashing import hash_ngrams, mark_ends
from trainer.strangeness.model import NGRAM_MAX, StrangenessModel, SurpriseModel

# Enough to know the characters of a dataset by; more would take longer than seconds.
_MAX_CHARACTERS = 2_000_000
_MAX_VALIDATION_ROWS = 10_000
# Four megabytes in an export.
_MAX_NGRAMS = 2**17


def fit_strangeness(dataset: Dataset) -> StrangenessModel | None:
    """Return the strangeness model of a dataset; None if it has no validation row.

    Raises:
        DataError: a shard cannot be read.
    """
    manifest = dataset.manifest
    if not manifest.records("validation"):
        return None
    with read_errors_as_data_error(dataset):
        counts = count_all_ngrams(_read_train_rows(dataset), manifest.unknown_id)
        model = SurpriseModel(counts, manifest.unknown_id)
        known = list(_surprises(dataset, model))
    return StrangenessModel(model, np.concatenate(known)[:_MAX_VALIDATION_ROWS])


def count_all_ngrams(rows: Iterator[IdRows], unknown_id: int) -> NgramCounts:
    """Return the counts of the n-grams of rows, whatever their labels."""

    def hashed() -> Iterator[Rows]:
        for some in rows:
            marked = mark_ends(some.ids, tf.constant(some.lengths), unknown_id)
            yield hash_ngrams(marked, NGRAM_MAX).numpy(), np.zeros_like(some.labels)

    return count_ngrams(hashed(), num_labels=1, max_ngrams=_MAX_NGRAMS)


def _read_train_rows(dataset: Dataset) -> Iterator[IdRows]:
    """Yield the first rows of the train split, some two million characters."""
    manifest = dataset.manifest
    characters_per_row = manifest.characters("train") / manifest.records("train")
    characters = 0
    for rows in read_id_rows(dataset, round(_MAX_CHARACTERS / characters_per_row)):
        yield rows
        characters += int(rows.lengths.sum())
        if characters >= _MAX_CHARACTERS:
            return


def _surprises(dataset: Dataset, model: SurpriseModel) -> Iterator[npt.NDArray[np.float32]]:
    """Yield the surprise of the first validation rows, some at a time."""
    surprise = tf.function(model.surprise, reduce_retracing=True, autograph=False)
    count = 0
    for rows in read_id_rows(dataset, _MAX_VALIDATION_ROWS, "validation"):
        yield surprise(tf.constant(rows.ids), tf.constant(rows.lengths)).numpy()
        count += len(rows.lengths)
        if count >= _MAX_VALIDATION_ROWS:
            return

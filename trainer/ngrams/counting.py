"""The counts of the n-grams of a train split."""

from __future__ import annotations

from collections.abc import Iterator

import tensorflow as tf

from trainer.data.dataset import Dataset
from trainer.data.records import first_shards, read_rows
from trainer.ngrams.counts import NgramCounts, Rows, count_ngrams
from trainer.ngrams.experts import Size
from trainer.ngrams.model import hash_sequences

# Of more rows, counting takes more seconds and adds little to what the other experts learn.
_MAX_CHARACTERS = 8_000_000
_ROWS_AT_ONCE = 16_384


def count_train_rows(dataset: Dataset, size: Size) -> NgramCounts:
    """Return the counts of the n-grams of the train split's first 8 million characters.

    Split and shard of a row follow from a hash, so the first rows are a fair sample.
    """
    return count_ngrams(_hashed_rows(dataset, size), size.classes)


def _hashed_rows(dataset: Dataset, size: Size) -> Iterator[Rows]:
    """Yield hashes and labels of the rows, some at a time."""
    manifest = dataset.manifest
    characters_per_row = manifest.characters("train") / manifest.records("train")
    shards = first_shards(manifest, round(_MAX_CHARACTERS / characters_per_row))
    hash_rows = tf.function(
        lambda ids, length: hash_sequences(size, ids, length)[1], autograph=False
    )
    characters = 0
    for rows in read_rows(dataset, shards, _ROWS_AT_ONCE):
        yield hash_rows(rows["sequence"], rows["length"]).numpy(), rows["label"].numpy()
        characters += int(tf.reduce_sum(rows["length"]))
        if characters >= _MAX_CHARACTERS:
            return

"""Rows as ids, whatever their records hold, in arrays of NumPy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from charseq.examples import WEIGHT
from trainer.data.dataset import Dataset
from trainer.data.records import first_shards, read_rows
from trainer.data.representation import restore_ids

_ROWS_AT_ONCE = 2048

Int64s = npt.NDArray[np.int64]


class IdRows(NamedTuple):
    """Some rows: ids (rows, max_length) int64; lengths, labels (rows,) int64; weights (rows,).

    The weights are float32 and have a mean of 1 over the split; None if the records have none.
    """

    ids: Int64s
    lengths: Int64s
    labels: Int64s
    weights: npt.NDArray[np.float32] | None


def read_id_rows(dataset: Dataset, max_rows: int, split: str = "train") -> Iterator[IdRows]:
    """Yield the rows of the first shards of a split, `max_rows` or more if it has them.

    Split and shard of a row follow from a hash, so the first rows are a fair sample.
    """
    manifest = dataset.manifest
    scale = manifest.weight_scale(split)
    representation = "one_hot" if manifest.encoding == "one_hot" else "embedding"
    for rows in read_rows(dataset, first_shards(manifest, max_rows, split), _ROWS_AT_ONCE):
        lengths = rows["length"].numpy().astype(np.int64)
        ids = restore_ids(rows["sequence"].numpy(), lengths, representation, manifest)
        weights = rows[WEIGHT].numpy() * np.float32(scale) if WEIGHT in rows else None
        yield IdRows(ids, lengths, rows["label"].numpy().astype(np.int64), weights)

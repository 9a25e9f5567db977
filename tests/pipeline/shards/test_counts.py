"""Counts of the records of a shard, over the slices in which it is written."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from pipeline.options import Options
from pipeline.shards.counts import ParityRow, ShardCounts
from pipeline.shards.ordering import shuffled_schema
from pipeline.transform.saved_graph import Encoded

pytestmark = pytest.mark.unit

OPTIONS = Options(input=("i",), output="o", max_length=3, alphabet="AC")


def rows(*columns: tuple[str, str, str | None]) -> pa.RecordBatch:
    arrays = [pa.array(column, pa.string()) for column in zip(*columns, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=shuffled_schema(OPTIONS))


def encoded(ids: list[list[int]], label: list[int]) -> Encoded:
    array = np.array(ids)
    return Encoded(array, (array > 0).sum(axis=1), np.array(label))


def test_slices_are_added_up() -> None:
    counts = ShardCounts(OPTIONS)
    counts.add(
        rows(("A😀", "x", None), ("é😀", "y", None)), encoded([[1, 3, 0], [3, 3, 0]], [0, 1])
    )
    counts.add(rows(("CAA", "z", "CAA!")), encoded([[2, 1, 1]], [2]))
    assert counts.labels.tolist() == [1, 1, 1]
    assert counts.lengths.tolist() == [0, 0, 2, 1]
    assert counts.ids.tolist() == [2, 3, 1, 3]
    assert counts.unknown_characters == Counter({"😀": 2, "é": 1})
    assert counts.unknown_records == 1
    assert counts.parity == [ParityRow("CAA!", [2, 1, 1], 3, "z", 2)]

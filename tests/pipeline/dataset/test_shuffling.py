"""Usable rows sorted into shards, and which of them go to parity.jsonl."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from pipeline.dataset.checking import UsableRows
from pipeline.dataset.plan import Plan
from pipeline.dataset.shuffling import partition_rows
from pipeline.options import Options
from pipeline.rows.hashing import hash_sequences
from pipeline.rows.packing import pack_rows, unpack_rows
from pipeline.shards.ordering import order_rows, shuffled_schema
from pipeline.shards.partition import plan_partition
from pipeline.transform.saved_graph import Vocabulary

pytestmark = pytest.mark.unit

OPTIONS = Options(input=("i",), output="o", max_length=4, split="train=1")
# Normalized, and as read where that was not the same. Two rows are one record.
ROWS = [("AC", "AC "), ("AC", None), ("GGGGTT", None), ("TT", "\ufeffTT"), ("CA C", None)]


def parity_of(changed: list[str], parity_limit: int) -> dict[str, str | None]:
    """Return by sequence the texts for parity.jsonl, where those of `changed` were chosen."""
    sequences, raw = zip(*ROWS, strict=True)
    columns = {
        "sequence": pa.array(sequences),
        "label": pa.array(["x"] * len(ROWS)),
        "raw": pa.array(raw, pa.string()),
        "step": pa.array([1] * len(ROWS), pa.int32()),
    }
    packed = pack_rows(pa.record_batch(columns))
    plan = Plan(
        OPTIONS,
        plan_partition(OPTIONS.split_fractions, 1),
        Vocabulary(("A",), ("x",)),
        parity_limit,
        np.sort(hash_sequences(pa.array(changed, pa.string()), OPTIONS.seed)),
    )
    partitioned = partition_rows(UsableRows(0, 1, packed), plan, OPTIONS)
    assert (partitioned.num_rows, partitioned.rejected) == (len(ROWS), [])
    packed_rows = [rows for _, rows in partitioned.by_shard]
    rows = order_rows(unpack_rows(packed_rows, shuffled_schema(OPTIONS)), 0).rows
    return dict(zip(rows["sequence"].to_pylist(), rows["raw"].to_pylist(), strict=True))


def test_a_changed_row_is_chosen_before_its_twin_that_was_read_like_that() -> None:
    assert parity_of(["AC"], 0) == {"AC": "AC ", "GGGG": None, "TT": None, "CA C": None}
    assert parity_of(["AC", "TT"], 1 << 32) == {
        "AC": "AC ",
        "GGGG": "GGGGTT",
        "TT": "\ufeffTT",
        "CA C": "CA C",
    }


def test_without_changed_rows_all_below_the_limit_are_chosen() -> None:
    assert set(parity_of([], 0).values()) == {None}
    assert parity_of([], 1 << 32)["AC"] == "AC"

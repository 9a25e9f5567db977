"""Row groups of Parquet: batches are small however large the text is to which they unfold."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.formats import row_groups
from pipeline.formats.parquet import parse_columns
from pipeline.formats.row_groups import read_row_groups

pytestmark = pytest.mark.unit

LONG = "A" * 1000


@pytest.fixture(autouse=True)
def _batches_of_some_kilobytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_groups, "_BATCH_BYTES", 2500)


def batches(
    table: pa.Table, **settings: object
) -> Iterator[list[tuple[bytes | None, bytes | None]]]:
    stream = io.BytesIO()
    pq.write_table(table, stream, **settings)
    groups = range(pq.ParquetFile(stream).num_row_groups)
    for batch in read_row_groups(stream, groups, ["sequence", "label"]):
        parsed = parse_columns(*batch.columns)
        yield list(zip(parsed.sequence.to_pylist(), parsed.label.to_pylist(), strict=True))


@pytest.mark.parametrize("store_schema", [True, False])
@pytest.mark.parametrize("use_dictionary", [True, False])
@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary()])
def test_a_value_that_many_rows_share_is_unfolded_a_few_rows_at_a_time(
    store_schema: bool, use_dictionary: bool, kind: pa.DataType
) -> None:
    sequence = pa.array([LONG, "C", None, *[LONG] * 5], kind)
    table = pa.table({"sequence": sequence.dictionary_encode(), "label": [1, 2] * 4})
    found = list(batches(table, store_schema=store_schema, use_dictionary=use_dictionary))
    long = LONG.encode()
    assert [row for batch in found for row in batch] == [
        (long, b"1"),
        (b"C", b"2"),
        (None, b"1"),
        *[(long, b"21"[n % 2 : n % 2 + 1]) for n in range(5)],
    ]
    sizes = [sum(len(sequence or b"") for sequence, _ in batch) for batch in found]
    assert max(sizes) <= 2500


def test_long_labels_count_and_a_row_above_the_limit_stands_alone() -> None:
    table = pa.table({"sequence": ["A", "C", "D"], "label": ["x", "y" * 5000, "z"]})
    assert [len(batch) for batch in batches(table)] == [1, 1, 1]
    assert [len(batch) for batch in batches(table.slice(2))] == [1]


@given(st.lists(st.tuples(st.sampled_from(["", "A", LONG, None]), st.booleans()), max_size=30))
def test_every_row_comes_out_in_order(rows: list[tuple[str | None, bool]]) -> None:
    table = pa.table(
        {
            "sequence": pa.array([sequence for sequence, _ in rows], pa.string()),
            "label": pa.array([label for _, label in rows], pa.bool_()),
        }
    )
    found = [row for batch in batches(table, row_group_size=7) for row in batch]
    assert found == [
        (None if sequence is None else sequence.encode(), str(label).lower().encode())
        for sequence, label in rows
    ]

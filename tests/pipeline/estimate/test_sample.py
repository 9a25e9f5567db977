"""A sample of the input: where it is taken from, and how many rows the whole input has by it."""

from __future__ import annotations

import gzip
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.estimate.sample import Sample, take_sample
from pipeline.input_options import InputOptions
from pipeline.rows.blocks import parse_block
from pipeline.rows.sources import Source, find_nonempty_sources

pytestmark = pytest.mark.unit


def sources_of(*paths: Path) -> list[Source]:
    options = InputOptions(tuple(map(str, paths)), "auto", None, "sequence", "label")
    return find_nonempty_sources(options)


def write_rows(path: Path, first: int, count: int) -> Path:
    """Write rows of 13 bytes, numbered."""
    rows = "".join(f"{number:010},x\n" for number in range(first, first + count))
    data = f"sequence,label\n{rows}".encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def rows_of(sample: Sample) -> list[int]:
    found: list[int] = []
    for block in sample.blocks():
        found += map(int, parse_block(block).sequence.to_pylist())
    return found


def estimate(sample: Sample, sources: list[Source]) -> int:
    return round(len(rows_of(sample)) * sum(source.bytes for source in sources) / sample.file_bytes)


def test_it_is_taken_from_eight_places_of_all_files(tmp_path: Path) -> None:
    sources = sources_of(
        write_rows(tmp_path / "a.csv", 0, 30_000), write_rows(tmp_path / "b.csv", 30_000, 10_000)
    )
    sample = take_sample(sources, 800)
    rows = rows_of(sample)
    assert len(rows) == len(set(rows))
    assert [row // 5_000 for row in rows[::100]][:8] == [0, 1, 2, 3, 4, 5, 6, 7]
    assert 780 <= len(rows) <= 820
    assert abs(estimate(sample, sources) - 40_000) < 100


def test_a_small_input_is_its_own_sample(tmp_path: Path) -> None:
    sources = sources_of(write_rows(tmp_path / "a.csv", 0, 500))
    sample = take_sample(sources, 1_000)
    assert rows_of(sample) == list(range(500))
    assert estimate(sample, sources) == 500


def test_a_last_line_without_its_end_is_a_row_of_its_own(tmp_path: Path) -> None:
    paths = [write_rows(tmp_path / "a.csv", 0, 10), write_rows(tmp_path / "b.csv", 10, 10)]
    for path in paths:
        path.write_bytes(path.read_bytes()[:-1])
    assert rows_of(take_sample(sources_of(*paths), 1_000)) == list(range(20))


def test_of_a_compressed_file_the_beginning_is_read(tmp_path: Path) -> None:
    sources = sources_of(write_rows(tmp_path / "a.csv.gz", 0, 500_000))
    sample = take_sample(sources, 4_000)
    rows = rows_of(sample)
    assert rows == list(range(len(rows)))
    assert 3_800 <= len(rows) <= 4_200
    assert abs(estimate(sample, sources) - 500_000) < 25_000


def test_a_short_compressed_file_is_read_whole(tmp_path: Path) -> None:
    sources = sources_of(write_rows(tmp_path / "a.csv.gz", 0, 500))
    sample = take_sample(sources, 4_000)
    assert rows_of(sample) == list(range(500))
    assert estimate(sample, sources) == 500


def test_of_parquet_row_groups_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    table = pa.table({"sequence": [f"{n:010}" for n in range(20_000)], "label": ["x"] * 20_000})
    pq.write_table(table, path, row_group_size=1_000)
    sources = sources_of(path)
    sample = take_sample(sources, 4_000)
    rows = rows_of(sample)
    groups = [row // 1_000 for row in rows[::1_000]]
    assert len(groups) == 4
    assert all(4 <= later - earlier <= 6 for earlier, later in pairwise(groups))
    assert abs(estimate(sample, sources) - 20_000) < 10

"""Parts of files: every line is read once, wherever the cuts fall."""

from __future__ import annotations

import bz2
import gzip
import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import sources
from pipeline.errors import DataError
from pipeline.options import Options
from pipeline.reading import parse_block, read_blocks, whole_lines
from pipeline.sources import Source, cut_into_parts, find_sources


def options(path: Path | str, **changes: object) -> Options:
    return Options(input=(str(path),), output="unused", **changes)  # type: ignore[arg-type]


def read_all(found: list[Source]) -> list[tuple[int, bytes, bytes]]:
    """(row number in the file, sequence, label) of every row, read part by part."""
    out, first = [], {source.path: source.first_row for source in found}
    for part in cut_into_parts(found):
        used = 0
        for parsed in map(parse_block, read_blocks(part)):
            numbers = (parsed.row + first[part.source.path]).tolist()
            used += parsed.rows
            out += zip(numbers, parsed.sequence.to_pylist(), parsed.label.to_pylist(), strict=True)
        first[part.source.path] += used
    return out


@given(
    st.lists(st.text("ab", max_size=9), max_size=12).map(lambda lines: "\n".join(lines).encode()),
    st.integers(1, 10),
)
def test_ranges_of_bytes_hold_every_line_once(data: bytes, size: int) -> None:
    blocks = []
    for start in range(0, len(data), size):
        stream = io.BytesIO(data)
        stream.seek(max(0, start - 1))
        length = min(size, len(data) - start) + (start > 0)
        blocks += whole_lines(stream, 1 << 20, length, skip_first=start > 0)
    assert b"".join(blocks) == data


@pytest.mark.parametrize("block_bytes", [1, 7, 64, 1 << 20])
@pytest.mark.parametrize(
    ("suffix", "compress"), [("", bytes), (".gz", gzip.compress), (".bz2", bz2.compress)]
)
def test_rows_and_their_numbers_do_not_depend_on_the_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block_bytes: int, suffix: str, compress: type
) -> None:
    monkeypatch.setattr(sources, "MIN_BLOCK_BYTES", block_bytes)
    lines = ["\ufefflabel,other,sequence"] + [f"l{n},{n},{'AC' * n}" for n in range(1, 30)]
    path = tmp_path / f"rows.csv{suffix}"
    path.write_bytes(compress("\r\n".join(lines).encode()))
    expected = [(n + 1, b"AC" * n, f"l{n}".encode()) for n in range(1, 30)]
    assert read_all(find_sources(options(path))) == expected


def test_no_cut_between_parts_loses_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("sequence,label\nA,x\nCC,y\nDDD,z\n")
    for block_bytes in range(1, 35):
        monkeypatch.setattr(sources, "MIN_BLOCK_BYTES", block_bytes)
        assert read_all(find_sources(options(path))) == [
            (2, b"A", b"x"), (3, b"CC", b"y"), (4, b"DDD", b"z")
        ]  # fmt: skip


def test_concatenated_gzip_members_are_one_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv.gz"
    path.write_bytes(gzip.compress(b"sequence,label\nA,x\n") + gzip.compress(b"C,y\n"))
    assert read_all(find_sources(options(path))) == [(2, b"A", b"x"), (3, b"C", b"y")]


def test_a_torn_gzip_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = tmp_path / "torn.csv.gz"
    rows = "".join(f"{n * 7919 % 10007}A,x\n" for n in range(5000))
    path.write_bytes(gzip.compress(f"sequence,label\n{rows}".encode())[:-2000])
    with pytest.raises(DataError, match=r"torn\.csv\.gz: cannot be read"):
        read_all(find_sources(options(path)))


def test_parquet_is_read_by_row_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MIN_BLOCK_BYTES", 1)
    table = pa.table({"label": ["x", "y", "x"], "sequence": ["A", "CC", "D"], "n": [1, 2, 3]})
    pq.write_table(table, tmp_path / "rows.parquet", row_group_size=1)
    found = find_sources(options(tmp_path / "rows.parquet"))
    assert [(part.start, part.end) for part in cut_into_parts(found)] == [(0, 1), (1, 2), (2, 3)]
    assert read_all(found) == [(1, b"A", b"x"), (2, b"CC", b"y"), (3, b"D", b"x")]


def test_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"sequence": "A", "label": "x"}\n{"label": "y", "sequence": "C"}\n')
    assert read_all(find_sources(options(path))) == [(1, b"A", b"x"), (2, b"C", b"y")]


def test_files_come_in_order_of_their_paths(tmp_path: Path) -> None:
    for name in ("b.csv", "a.csv", "c.tsv"):
        (tmp_path / name).write_text("sequence,label\n".replace(",", ",\t"[name == "c.tsv"]))
    found = find_sources(
        Options(input=(f"{tmp_path}/*.csv", f"{tmp_path}/*.tsv", f"{tmp_path}/a*"), output="o")
    )
    assert [Path(source.path).name for source in found] == ["a.csv", "b.csv", "c.tsv"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("no.csv", None, "no file matches --input"),
        ("empty.csv", b"", "empty.csv: the file is empty"),
        ("a.csv", b"id,label\n1,x\n", "no column 'sequence'; its columns are 'id', 'label'"),
        ("a.csv", b"sequence,label,label\n", "more than one column 'label'"),
        ("a.csv", b"sequ\xffence,label\n", "row 1: the header is not UTF-8"),
        ("a.jsonl", b'{"text": "A"}\n', "no column 'sequence'; its columns are 'text'"),
        ("a.dat", b"sequence,label\n", "or say --format"),
        ("a.csv.gz", b"sequence,label\n", "a.csv.gz: cannot be read as csv"),
        ("a.parquet", b"PAR1", "a.parquet: cannot be read as parquet"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(
    tmp_path: Path, name: str, content: bytes | None, said: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as raised:
        find_sources(options(tmp_path / name))
    assert said in str(raised.value)


def test_a_parquet_column_must_be_text(tmp_path: Path) -> None:
    pq.write_table(pa.table({"sequence": [1.5], "label": ["x"]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="column 'sequence' is double, expected text"):
        find_sources(options(tmp_path / "a.parquet"))

"""Parts of files: every line is read once, wherever the cuts fall."""

from __future__ import annotations

import bz2
import gzip
import io
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charseq.errors import DataError, UsageError
from pipeline.options import Options
from pipeline.rows import blocks, sources
from pipeline.rows.blocks import iter_line_blocks, parse_block, read_blocks
from pipeline.rows.sources import Source, cut_into_parts, find_sources

pytestmark = pytest.mark.unit


def options(path: Path | str, **changes: object) -> Options:
    return Options(input=(str(path),), output="unused", **changes)  # type: ignore[arg-type]


def zstd(data: bytes) -> bytes:
    return pa.compress(data, "zstd", asbytes=True)  # type: ignore[no-any-return]


COMPRESSIONS = [("", bytes), (".gz", gzip.compress), (".bz2", bz2.compress), (".zst", zstd)]


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
        blocks += iter_line_blocks(stream, 1 << 20, length, skip_first=start > 0)
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
        (
            "a.csv",
            b"sequence,label\rA,x\rC,y\r",
            "the header is not CSV: new-line character",
        ),
        (
            "a.csv",
            b"sequence,label," + b"c" * 200_000,
            "the header is not CSV: field larger",
        ),
        ("a.csv", "sequence,label\n".encode("utf-16"), "row 1: the header is not UTF-8"),
        ("a.csv", b"label" + b",c" * 99, "'c', 'c', 'c', and 80 more; say which"),
        ("a.csv", b"A" * (2 << 20), "no line end in the first 1048576 bytes"),
        ("a.jsonl", b"[" * 100_000, "no column 'sequence'; its columns are (none)"),
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


def test_a_directory_is_no_file_and_one_way_to_name_its_files_is_shown(tmp_path: Path) -> None:
    with pytest.raises(DataError) as raised:
        find_sources(options(tmp_path))
    assert str(raised.value) == (f"{tmp_path} is a directory; did you mean --input '{tmp_path}/*'?")


def test_a_file_matched_twice_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.csv").write_text("sequence,label\nA,x\n")
    (tmp_path / "link.csv").symlink_to("a.csv")
    monkeypatch.chdir(tmp_path)
    inputs = ("a.csv", "*.csv", "./a.csv", f"{tmp_path}//a.csv", f"{tmp_path}/*.csv")
    found = find_sources(Options(input=inputs, output="o"))
    assert sorted(Path(source.path).name for source in found) == ["a.csv", "link.csv"]


def test_a_glob_may_begin_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data1").mkdir()
    (tmp_path / "data1" / "a.csv").write_text("sequence,label\n")
    for folder, pattern in ((tmp_path / "data1", "*.csv"), (tmp_path, "data*/a.csv")):
        monkeypatch.chdir(folder)
        assert [Path(s.path).name for s in find_sources(options(pattern))] == ["a.csv"]


def test_a_dangling_link_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "a.csv").symlink_to("nowhere")
    for pattern in ("a.csv", "*.csv"):
        with pytest.raises(DataError, match="no file matches"):
            find_sources(options(tmp_path / pattern))


def test_a_file_that_may_not_be_read_is_named() -> None:
    # Not tmp_path: root, who may read everything, becomes another user, who may not enter that.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.csv"
        path.write_text("sequence,label\nA,x\n")
        path.chmod(0)
        Path(folder).chmod(0o755)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)
        try:
            with pytest.raises(DataError, match=r"a\.csv: cannot be read as csv: .*denied"):
                find_sources(options(path))
        finally:
            os.seteuid(user)


def read_text(path: Path, label_from: str, **changes: object) -> list[tuple[int, bytes, bytes]]:
    return read_all(find_sources(options(path, label_from=label_from, **changes)))


@pytest.mark.parametrize("block_bytes", [1, 5, 1 << 20])
@pytest.mark.parametrize(("suffix", "compress"), COMPRESSIONS)
def test_text_rows_are_lines_with_the_label_of_their_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block_bytes: int, suffix: str, compress: type
) -> None:
    monkeypatch.setattr(sources, "MIN_BLOCK_BYTES", block_bytes)
    (tmp_path / "alpha").mkdir()
    path = tmp_path / "alpha" / f"part.1.txt{suffix}"
    path.write_bytes(compress(b'\xef\xbb\xbfAC\r\n"D\r\n\r\nEFG\r\nH'))
    expected = [(1, b"AC"), (2, b'"D'), (4, b"EFG"), (5, b"H")]
    assert read_text(path, "directory") == [(n, text, b"alpha") for n, text in expected]
    assert read_text(path, "file") == [(n, text, b"part.1") for n, text in expected]


def test_a_path_without_a_directory_is_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "alpha").mkdir()
    (tmp_path / "alpha" / "a.txt").write_text("A\n")
    monkeypatch.chdir(tmp_path / "alpha")
    for pattern in ("a.txt", "*.txt", "./a.txt", "../alpha/*.txt"):
        assert read_text(Path(pattern), "directory") == [(1, b"A", b"alpha")]


@pytest.mark.parametrize(
    ("name", "label"),
    [("alpha.txt", "alpha"), ("www.example.com.TXT.GZ", "www.example.com"), ("b é.log", "b é"),
     ("LICENSE", "LICENSE")],
)  # fmt: skip
def test_the_label_of_a_file_is_its_name_without_suffixes(
    tmp_path: Path, name: str, label: str
) -> None:
    data = gzip.compress(b"A\n") if name.endswith("GZ") else b"A\n"
    (tmp_path / name).write_bytes(data)
    assert read_text(tmp_path / name, "file", format="text") == [(1, b"A", label.encode())]


@pytest.mark.parametrize(
    ("name", "label_from", "said"),
    [
        (".txt", "file", ".txt: --label-from file gives the label '', expected a name"),
        (".txt.gz", "file", ".txt.gz: --label-from file gives the label ''"),
        (" .txt", "file", "the label ' '"),
        ("a\nb.txt", "file", r"the label 'a\nb'"),
        (b"a\xff.txt", "file", r"the label 'a\udcff'"),
    ],
)
def test_a_path_that_gives_no_label_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str | bytes,
    label_from: str,
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    path = os.fsdecode(name)
    Path(path).write_bytes(gzip.compress(b"A\n") if path.endswith("gz") else b"A\n")
    with pytest.raises(DataError) as raised:
        find_sources(options(path, label_from=label_from))
    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("name", "label_from", "said"),
    [
        ("a.txt", None, "a.txt: text has no label column: say --label-from directory"),
        ("a.csv", "file", "a.csv is csv; or say --format text"),
    ],
)
def test_label_from_goes_with_text_only(
    tmp_path: Path, name: str, label_from: str | None, said: str
) -> None:
    (tmp_path / name).write_text("sequence,label\nA,x\n")
    with pytest.raises(UsageError) as raised:
        find_sources(options(tmp_path / name, label_from=label_from))
    assert said in str(raised.value)


def test_a_parquet_column_must_be_text(tmp_path: Path) -> None:
    pq.write_table(pa.table({"sequence": [1.5], "label": ["x"]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="column 'sequence' is double, expected text"):
        find_sources(options(tmp_path / "a.parquet"))


def test_parquet_of_many_kinds(tmp_path: Path) -> None:
    """Nulls stay rows; what is nested does not disturb; of a file without rows nothing is read."""
    path = tmp_path / "rows.parquet"
    more = pa.array([{"sequence": "Z", "label": [1]}] * 2)
    table = pa.table(
        {
            "sequence": pa.array(["A", None], pa.large_string()).dictionary_encode(),
            "more": more,
            "label": pa.array([None, 2**64 - 1], pa.uint64()),
        }
    )
    pq.write_table(table, path)
    assert read_all(find_sources(options(path))) == [
        (1, b"A", None),
        (2, None, b"18446744073709551615"),
    ]
    pq.write_table(table.slice(0, 0), path)
    assert read_all(find_sources(options(path))) == []
    pq.ParquetWriter(path, table.schema).close()  # not one row group
    assert cut_into_parts(find_sources(options(path))) == []
    pq.write_table(pa.table({"sequence": more, "label": ["x", "y"]}), path)
    with pytest.raises(DataError, match="column 'sequence' is struct"):
        find_sources(options(path))


def test_broken_parquet_is_named_whatever_is_broken(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"sequence": ["A", "C"], "label": ["x", "y"]}), path)
    whole = path.read_bytes()
    for place in range(4, len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            read_all(find_sources(options(path)))
        except DataError as error:
            assert "rows.parquet: " in str(error)  # noqa: PT017


@pytest.mark.parametrize(("suffix", "compress"), COMPRESSIONS[1:])
def test_a_compressed_file_cut_short_is_no_shorter_file(
    tmp_path: Path, suffix: str, compress: Callable[[bytes], bytes]
) -> None:
    data = compress(b"sequence,label\nA,x\nC,y\n")
    path = tmp_path / f"torn.csv{suffix}"
    for end in (1, 4, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:end])
        with pytest.raises(DataError, match=r"torn\.csv.*: cannot be read"):
            read_all(find_sources(options(path)))
    path.write_bytes(data + b"more")
    with pytest.raises(DataError, match=r"torn\.csv.*: cannot be read"):
        read_all(find_sources(options(path)))


def test_a_byte_order_mark_of_json_lines_and_a_first_row_of_2_mb(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    long = "A" * (2 << 20)
    path.write_text(f'\ufeff{{"sequence": "{long}", "label": "x"}}\n{{"sequence": "C"}}')
    assert read_all(find_sources(options(path))) == [(1, long.encode(), b"x"), (2, b"C", None)]


def test_a_line_without_end_is_refused_while_it_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "MAX_LINE_BYTES", 10)
    assert list(iter_line_blocks(io.BytesIO(b"0123456789\n0\n"), 4, None)) == [
        b"0123456789\n",
        b"0\n",
    ]
    for data, size in ((b"a\n0123456789ab", None), (b"a\n" + b"0" * 20, 8)):
        stream = io.BytesIO(data)
        with pytest.raises(OSError, match="a line of more than 10 bytes; is this a text file"):
            list(iter_line_blocks(stream, 4, size))

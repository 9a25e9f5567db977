"""Parts of files: every line is read once, wherever the cuts fall."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charseq.errors import DataError
from pipeline.input_options import InputOptions
from pipeline.options import Options
from pipeline.rows import blocks, parts
from pipeline.rows.blocks import iter_line_blocks, parse_block, read_blocks
from pipeline.rows.parts import cut_into_parts
from pipeline.rows.sources import Source, find_sources
from tests.support.archives import make_zip

pytestmark = pytest.mark.unit


def options(path: Path | str, **changes: object) -> InputOptions:
    options = Options(input=(str(path),), output="unused", **changes)  # type: ignore[arg-type]
    return options.input_options


def zstd(data: bytes) -> bytes:
    return pa.compress(data, "zstd", asbytes=True)  # type: ignore[no-any-return]


def zipped(data: bytes) -> bytes:
    return make_zip({"__MACOSX/._rows": b"x", "folder/": b"", "folder/rows": data})


COMPRESSIONS = [
    ("", bytes),
    (".gz", gzip.compress),
    (".bz2", bz2.compress),
    (".zst", zstd),
    (".xz", lzma.compress),
    (".zip", zipped),
]


def read_all(found: list[Source]) -> list[tuple[int, bytes, bytes]]:
    """(row number in the file, sequence, label) of every row, read part by part."""
    out: list[tuple[int, bytes, bytes]] = []
    first = {source.path: source.header.first_row for source in found}
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
    blocks: list[bytes] = []
    for start in range(0, len(data), size):
        stream = io.BytesIO(data)
        stream.seek(max(0, start - 1))
        length = min(size, len(data) - start) + (start > 0)
        blocks += iter_line_blocks(stream, 1 << 20, length, skip_first=start > 0)
    assert b"".join(blocks) == data


@pytest.mark.parametrize("block_bytes", [1, 7, 64, 1 << 20])
@pytest.mark.parametrize(
    ("suffix", "compress"), [each for each in COMPRESSIONS if each[0] != ".zst"]
)
def test_rows_and_their_numbers_do_not_depend_on_the_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block_bytes: int, suffix: str, compress: type
) -> None:
    monkeypatch.setattr(parts, "MIN_BLOCK_BYTES", block_bytes)
    lines = ["\ufefflabel,other,sequence"] + [f"l{n},{n},{'AC' * n}" for n in range(1, 30)]
    path = tmp_path / f"rows.csv{suffix}"
    path.write_bytes(compress("\r\n".join(lines).encode()))
    expected = [(n + 1, b"AC" * n, f"l{n}".encode()) for n in range(1, 30)]
    assert read_all(find_sources(options(path))) == expected


def test_no_cut_between_parts_loses_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("sequence,label\nA,x\nCC,y\nDDD,z\n")
    for block_bytes in range(1, 35):
        monkeypatch.setattr(parts, "MIN_BLOCK_BYTES", block_bytes)
        assert read_all(find_sources(options(path))) == [
            (2, b"A", b"x"),
            (3, b"CC", b"y"),
            (4, b"DDD", b"z"),
        ]


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
    monkeypatch.setattr(parts, "MIN_BLOCK_BYTES", 1)
    table = pa.table({"label": ["x", "y", "x"], "sequence": ["A", "CC", "D"], "n": [1, 2, 3]})
    pq.write_table(table, tmp_path / "rows.parquet", row_group_size=1)
    found = find_sources(options(tmp_path / "rows.parquet"))
    assert [(part.start, part.end) for part in cut_into_parts(found)] == [(0, 1), (1, 2), (2, 3)]
    assert read_all(found) == [(1, b"A", b"x"), (2, b"CC", b"y"), (3, b"D", b"x")]


def test_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"sequence": "A", "label": "x"}\n{"label": "y", "sequence": "C"}\n')
    assert read_all(find_sources(options(path))) == [(1, b"A", b"x"), (2, b"C", b"y")]


def read_text(path: Path, label_from: str, **changes: object) -> list[tuple[int, bytes, bytes]]:
    return read_all(find_sources(options(path, label_from=label_from, **changes)))


@pytest.mark.parametrize("block_bytes", [1, 5, 1 << 20])
@pytest.mark.parametrize(("suffix", "compress"), COMPRESSIONS)
def test_text_rows_are_lines_with_the_label_of_their_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block_bytes: int, suffix: str, compress: type
) -> None:
    monkeypatch.setattr(parts, "MIN_BLOCK_BYTES", block_bytes)
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
    [
        ("alpha.txt", "alpha"),
        ("www.example.com.TXT.GZ", "www.example.com"),
        ("b é.log", "b é"),
        ("LICENSE", "LICENSE"),
    ],
)
def test_the_label_of_a_file_is_its_name_without_suffixes(
    tmp_path: Path, name: str, label: str
) -> None:
    data = gzip.compress(b"A\n") if name.endswith("GZ") else b"A\n"
    (tmp_path / name).write_bytes(data)
    assert read_text(tmp_path / name, "file", format="text") == [(1, b"A", label.encode())]


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


@pytest.mark.parametrize("block_bytes", [1, 5, 1 << 20])
@pytest.mark.parametrize("compress", [bytes, gzip.compress])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be"])
def test_the_first_bytes_say_how_a_csv_is_stored(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    block_bytes: int,
    compress: Callable[[bytes], bytes],
    encoding: str,
) -> None:
    monkeypatch.setattr(parts, "MIN_BLOCK_BYTES", block_bytes)
    path = tmp_path / "rows.csv"
    text = '\ufeffsequence;label\r\nAé😀;x\r\n"C;";"y"\r\n\r\nD;z'
    path.write_bytes(compress(text.encode(encoding)))
    assert read_all(find_sources(options(path, delimiter=";"))) == [
        (2, "Aé😀".encode(), b"x"),
        (3, b"C;", b"y"),
        (5, b"D", b"z"),
    ]


@pytest.mark.parametrize("block_bytes", [1, 5, 1 << 20])
def test_without_a_header_the_first_row_is_row_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block_bytes: int
) -> None:
    monkeypatch.setattr(parts, "MIN_BLOCK_BYTES", block_bytes)
    path = tmp_path / "rows.tsv"
    path.write_bytes(b"0\tx\tACD\n1\ty\tGHI\n")
    numbers = {"no_header": True, "sequence_column": "3", "label_column": "2"}
    assert read_all(find_sources(options(path, **numbers))) == [
        (1, b"ACD", b"x"),
        (2, b"GHI", b"y"),
    ]


@given(
    st.text(st.sampled_from("ACD>\n\r|"), max_size=40),
    st.integers(1, 7),
    st.integers(1, 9),
    st.sampled_from([b"\n", b"\n>"]),
)
def test_every_record_is_in_one_part_wherever_the_cuts_fall(
    text: str, block: int, size: int, mark: bytes
) -> None:
    data = b">" + text.encode()
    found: list[bytes] = []
    for start in range(0, len(data), size):
        stream, limit = io.BytesIO(data), min(size, len(data) - start)
        stream.seek(max(start - 1, 0))
        skip = start > 0
        found += iter_line_blocks(stream, block, limit + skip, mark, skip_first=skip)
    whole = list(iter_line_blocks(io.BytesIO(data), block, None, mark))
    assert b"".join(found) == b"".join(whole) == data
    assert all(piece.startswith(b">") for piece in (found + whole) if len(mark) == 2)


@pytest.mark.parametrize("block_bytes", [1, 5, 1 << 20])
@pytest.mark.parametrize(("suffix", "compress"), COMPRESSIONS[:2])
def test_fasta_of_several_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block_bytes: int, suffix: str, compress: type
) -> None:
    monkeypatch.setattr(parts, "MIN_BLOCK_BYTES", block_bytes)
    path = tmp_path / f"peptides.fa{suffix}"
    path.write_bytes(
        compress(b"\n>1|alpha\nACD\nEFG\n>2|beta\r\nGHI\r\n\r\n>3 alpha\n>4|x|beta\nK")
    )
    assert read_all(find_sources(options(path))) == [
        (2, b"ACDEFG", b"alpha"),
        (5, b"GHI", b"beta"),
        (8, b"", b"alpha"),
        (9, b"K", b"beta"),
    ]
    labels = [label for *_, label in read_all(find_sources(options(path, label_from="file")))]
    assert labels == [b"peptides"] * 4
    labels = [label for *_, label in read_all(find_sources(options(path, label_pattern=r"^\d")))]
    assert labels == [b"1", b"2", b"3", b"4"]


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
    if suffix == ".zip":
        return  # Its directory says where it ends.
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


def write_parquet(path: Path, columns: dict[str, list[str | None]]) -> None:
    path.parent.mkdir(parents=True)
    pq.write_table(pa.table(columns), path)


def test_a_directory_that_names_the_label_column_is_the_label_of_its_files(tmp_path: Path) -> None:
    write_parquet(tmp_path / "day=1" / "label=b%2Fc" / "0.parquet", {"sequence": ["A"]})
    write_parquet(tmp_path / "label=__HIVE_DEFAULT_PARTITION__" / "0", {"sequence": ["C"]})
    for folder, name, content in (
        ("label=x", "a.csv", "other,sequence\n1,D\n"),
        ("label=y", "a.jsonl", '{"sequence": "E"}\n'),
        ("label=z", "a.txt", "F\n"),
        ("label=z", "a.fasta", ">1\nG\n"),
        # A column of the file counts more than its directory.
        ("label=z", "b.csv", "sequence,label\nH,own\n"),
    ):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / name).write_text(content)
    rows = read_all(find_sources(options(tmp_path)))
    assert {sequence: label for _, sequence, label in rows} == {
        b"A": b"b/c",
        b"C": b"",
        b"D": b"x",
        b"E": b"y",
        b"F": b"z",
        b"G": b"z",
        b"H": b"own",
    }


def test_a_label_that_is_wanted_from_elsewhere_is_not_that_of_the_partition(tmp_path: Path) -> None:
    path = tmp_path / "label=x" / "y.fasta"
    path.parent.mkdir()
    path.write_text(">1|p q\nA\n")
    assert read_all(find_sources(options(path))) == [(1, b"A", b"x")]
    assert read_all(find_sources(options(path, label_from="file"))) == [(1, b"A", b"y")]
    assert read_all(find_sources(options(path, label_pattern="p"))) == [(1, b"A", b"p")]
    (source,) = find_sources(replace(options(path), label_column=None))
    assert source.label_of_all is None


def labels_of(path: Path) -> list[bytes | None]:
    return [label for *_, label in read_all(find_sources(options(path)))]


def test_the_first_bytes_say_what_a_file_is_and_not_its_name(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    pq.write_table(pa.table({"sequence": ["A"], "label": ["x"]}), path)
    assert read_all(find_sources(options(path))) == [(1, b"A", b"x")]
    path.write_bytes(lzma.compress(b"sequence,label\nC,y\n"))
    assert read_all(find_sources(options(path))) == [(2, b"C", b"y")]
    (tmp_path / "rows.zip").write_bytes(make_zip({"folder/rows.tsv": b"label\tsequence\nz\tD\n"}))
    assert read_all(find_sources(options(tmp_path / "rows.zip"))) == [(2, b"D", b"z")]


def test_a_parquet_column_of_nothing_but_nulls_has_no_values(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"sequence": ["A", "C"], "label": [None, None]}), path)
    assert labels_of(path) == [None, None]


def test_a_column_may_be_named_by_its_number(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("sequence,label,label\nA,x,y\n")
    assert read_all(find_sources(options(path, label_column="3"))) == [(2, b"A", b"y")]
    path.write_text("sequence,3,label\nA,x,y\n")
    assert read_all(find_sources(options(path, label_column="3"))) == [(2, b"A", b"x")]

"""How input lies in directories and buckets, as other programs write it: what is read of it.

Each layout is read from this machine and from an S3 server. The outcomes stand in docs/data.md.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

from charseq.errors import DataError, UsageError
from pipeline.options import Options
from pipeline.rows.blocks import parse_block, read_blocks
from pipeline.rows.parts import cut_into_parts
from pipeline.rows.sources import find_sources
from tests.support.archives import make_zip
from tests.support.stores import Bucket, s3_server

A, B, C = (f"sequence,label\n{name},{name.lower()}\n".encode() for name in "ABC")
NULL = "__HIVE_DEFAULT_PARTITION__"


def parquet(**columns: list[str | None]) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


@dataclass(frozen=True)
class Layout:
    """Files, what --input names of them, and the rows that are read or the error.

    found: sequences with labels, as `A a`, in the order of the paths; a missing label is `-`. Or a
    part of the error.
    """

    files: Mapping[str, bytes]
    inputs: tuple[str, ...]
    found: str


LAYOUTS = {
    # Spark, Hadoop and Hive.
    "spark_csv": Layout({"_SUCCESS": b"", "part-0.csv": A, ".part-0.csv.crc": b"x"}, ("",), "A a"),
    "spark_glob": Layout(
        {"_SUCCESS": b"", "part-0.csv": A, ".part-0.csv.crc": b"x"}, ("*",), "A a"
    ),
    "spark_unfinished": Layout({"_temporary/0/part-1.csv": B, "part-0.csv": A}, ("",), "A a"),
    "spark_all_hidden": Layout({"_SUCCESS": b"", "._a": b"x"}, ("*",), "2 files were passed over"),
    "hive_parquet": Layout(
        {f"label={each}/0.parquet": parquet(sequence=[each.upper()]) for each in "ab"},
        ("",),
        "A a, B b",
    ),
    "hive_csv": Layout({"label=x/0.csv": b"sequence\nA\n"}, ("",), "A x"),
    "hive_json": Layout({"label=x/0.jsonl": b'{"sequence": "A"}\n'}, ("",), "A x"),
    "hive_large_json": Layout(
        {"label=x/0.jsonl": b'{"sequence": "A"}\n' + b"\n" * (1 << 20)}, ("",), "A x"
    ),
    "hive_text": Layout({"label=x/0.txt": b"A\n"}, ("",), "A x"),
    "hive_escaped": Layout({"label=a%2Fb/0.csv": b"sequence\nA\n"}, ("",), "A a/b"),
    "hive_null": Layout({f"label={NULL}/0.csv": b"sequence\nA\n"}, ("",), "A -"),
    "hive_days": Layout({"day=2026-11-25/a.csv": A, "day=2026-11-26/b.csv": B}, ("",), "A a, B b"),
    "hive_two_keys": Layout({"day=1/label=x/0.csv": b"sequence\nA\n"}, ("day=*/**",), "A x"),
    "hive_column_too": Layout({"label=x/0.csv": A}, ("",), "A a"),
    "hive_hidden_key": Layout({"_key=1/a.csv": A}, ("",), "A a"),
    # Hidden files and marks of folders.
    "macos": Layout({"._a.csv": b"\0", ".DS_Store": b"\0", "a.csv": A}, ("*",), "A a"),
    "hidden_by_name": Layout({"_a.csv": A}, ("_a.csv",), "A a"),
    "hidden_by_pattern": Layout({"_a.csv": A, "b.csv": B}, ("_*.csv",), "A a"),
    "folder_marks": Layout({"": b"", "x_$folder$": b"", "x/a.csv": A}, ("",), "A a"),
    "empty_part": Layout({"a.csv": A, "b.csv": b""}, ("*.csv",), "A a"),
    # Lists and patterns.
    "directory": Layout({"a.csv": A, "more/deep/b.csv": B}, ("",), "A a, B b"),
    "several": Layout({"a.csv": A, "b.csv": B, "c.csv": C}, ("c.csv", "a.csv"), "A a, C c"),
    "braces": Layout({"a.csv": A, "b.csv": B, "c.csv": C}, ("{a,c}.csv",), "A a, C c"),
    "braces_missing": Layout({"a.csv": A}, ("{a,d}.csv",), "no file matches"),
    "comma": Layout({"a.csv": A, "b.csv": B}, ("a.csv,b.csv",), "several are given as --input A B"),
    "brackets_in_a_name": Layout({"a[1].csv": A, "a1.csv": B}, ("a[1].csv",), "A a"),
    "nothing": Layout({"a.csv": A}, ("b*",), "no file matches"),
    "other_files_beside": Layout({"a.csv": A, "README.md": b"x"}, ("",), "README.md: cannot tell"),
    # Names that say something else than the first bytes.
    "gzip_named_csv": Layout({"a.csv": gzip.compress(A)}, ("a.csv",), "A a"),
    "xz": Layout({"a.csv.xz": lzma.compress(A)}, ("*",), "A a"),
    "bzip2_named_tsv": Layout({"a.csv": bz2.compress(A)}, ("*",), "A a"),
    "parquet_named_csv": Layout({"a.csv": parquet(sequence=["A"], label=["a"])}, ("*",), "A a"),
    "zip_of_one": Layout({"a.zip": make_zip({"in/a.csv": A})}, ("*",), "A a"),
    "zip_of_two": Layout({"a.zip": make_zip({"a.csv": A, "b.csv": B})}, ("*",), "of 2 files"),
    "twice": Layout({"a.csv.gz": gzip.compress(gzip.compress(A))}, ("*",), "compressed twice"),
    "no_gzip": Layout({"a.csv.gz": A}, ("*",), "by its name it is compressed with gzip, but it"),
    "no_parquet": Layout({"a.parquet": A}, ("*",), "it is not Parquet, as its name"),
    # Files joined with `cat`, and columns.
    "joined_gzip": Layout(
        {"a.csv.gz": gzip.compress(A) + gzip.compress(b"B,b\n")}, ("*",), "A a, B b"
    ),
    "joined_xz": Layout(
        {"a.csv.xz": lzma.compress(A) + lzma.compress(b"B,b\n")}, ("*",), "A a, B b"
    ),
    "joined_headers": Layout({"a.csv": A + B}, ("*",), "A a, B b"),
    "column_twice": Layout(
        {"a.csv": b"sequence,label,label\nA,a,b\n"}, ("*",), "columns 2 and 3 are"
    ),
    "parquet_nulls": Layout({"a.parquet": parquet(sequence=["A"], label=[None])}, ("*",), "A -"),
    "late_key": Layout(
        {"a.jsonl": b'{"sequence": "A"}\n{"sequence": "B", "label": "b"}'}, ("*",), "A -, B b"
    ),
}


def rows_of(inputs: tuple[str, ...]) -> str:
    options = Options(input=inputs, output="unused").input_options
    rows: list[tuple[bytes, bytes | None]] = []
    for part in cut_into_parts(find_sources(options)):
        for parsed in map(parse_block, read_blocks(part)):
            rows += zip(parsed.sequence.to_pylist(), parsed.label.to_pylist(), strict=True)
    return ", ".join(f"{text.decode()} {label.decode() if label else '-'}" for text, label in rows)


def check(layout: Layout, place: str) -> None:
    found = outcome(tuple(f"{place}/{each}" for each in layout.inputs))
    is_error = found.startswith("error: ")
    assert (layout.found in found) if is_error else (layout.found == found)
    assert "\n" not in found


def outcome(inputs: tuple[str, ...]) -> str:
    try:
        return rows_of(inputs)
    except (DataError, UsageError) as error:
        return f"error: {error}"


@pytest.mark.unit
@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_on_this_machine(name: str, tmp_path: Path) -> None:
    for path, content in LAYOUTS[name].files.items():
        if path:  # A directory needs no mark.
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_bytes(content)
    check(LAYOUTS[name], str(tmp_path))


@pytest.fixture(scope="module", name="s3")
def _s3() -> Iterator[Bucket]:
    with s3_server() as bucket:
        FileSystems.set_options(PipelineOptions(bucket.flags))
        yield bucket


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_in_a_bucket(name: str, s3: Bucket) -> None:
    for path, content in LAYOUTS[name].files.items():
        s3.put(f"{name}/{path}", content)
    check(LAYOUTS[name], f"s3://bucket/{name}")


@pytest.mark.unit
def test_a_pipe_is_refused_in_a_sentence() -> None:
    with pytest.raises(DataError, match="is a pipe or a device, expected a regular file"):
        rows_of(("/dev/null",))

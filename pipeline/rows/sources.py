"""The input files: which there are, what columns they have, how they are cut into parts."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam.io.filesystems import FileSystems

from charseq.errors import DataError, UsageError
from pipeline.options import NO_LABEL_FROM, InputOptions
from pipeline.rows.inputs import identify
from pipeline.runtime.filesystems import is_local, open_file

MIN_BLOCK_BYTES = 2 << 20  # with what is made of it, about what a processor's cache holds
MAX_BLOCK_BYTES = 16 << 20
_BLOCKS = 1 << 10
# Beam reads a store 16 MB at a time, whatever is asked for, and the last ones are read in vain.
_MIN_STORE_PART_BYTES = 64 << 20
_MAX_PARTS = 20_000
_MAX_HEADER_BYTES = 1 << 20
_SHOWN_COLUMNS = 20
_UTF8_BOM = b"\xef\xbb\xbf"
_FORMAT_OF_SUFFIX = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".txt": "text",
}
# A line break, or (as Python shows it) a byte of a file name that is not UTF-8.
_NOT_IN_A_LABEL = re.compile("[\r\n\ud800-\udfff]")
_COMPRESSION_OF_SUFFIX = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}


@dataclass(frozen=True)
class Source:
    """One input file, and what its first bytes told.

    `sequence` and `label` are column positions among `columns` (csv, tsv); `label` is None where
    none is wanted. `label_of_all` is the label of every row where there is no such column (text),
    None where it has none. Rows begin at byte `data_start`, and the first of them is row number
    `first_row` (a line number, but for Parquet). `identity` tells its content from another: see
    `inputs.identify`.
    """

    path: str
    bytes: int
    format: str
    compression: str | None
    columns: tuple[str, ...]
    sequence: int
    label: int | None
    label_of_all: str | None = None
    data_start: int = 0
    first_row: int = 1
    row_groups: int = 0
    identity: str = ""

    @property
    def column_names(self) -> tuple[str, ...]:
        """The names of the sequence and, if one is wanted, the label column."""
        positions = (self.sequence, self.label)
        return tuple(self.columns[position] for position in positions if position is not None)


@dataclass(frozen=True)
class Part:
    """What one worker reads at a time: `start` to `end` are bytes, or Parquet row groups.

    A text row belongs to the part that holds its first byte. `end` is None for a compressed
    file, which can only be read as a whole. Text is parsed about `block_bytes` at a time.
    """

    index: int
    source: Source
    start: int
    end: int | None
    block_bytes: int

    @property
    def bytes(self) -> int:
        """How many of the file's bytes it takes, about."""
        if self.source.format == "parquet":
            return self.source.bytes * ((self.end or 0) - self.start) // self.source.row_groups
        return self.source.bytes if self.end is None else self.end - self.start


def find_sources(options: InputOptions) -> list[Source]:
    """The files that match `--input`, in order of their paths, each looked into.

    Raises:
        DataError: no file matches, or one is empty, unreadable or lacks a column or a label.
        UsageError: `--label-from` is missing for text, or given for another format.
    """
    sizes: dict[str, int] = {}
    matches = FileSystems.match([_with_directory(pattern) for pattern in options.input])
    for pattern, match in zip(options.input, matches, strict=True):
        if not match.metadata_list:
            raise DataError(f"no file matches --input {pattern!r}")
        sizes.update({found.path: found.size_in_bytes for found in match.metadata_list})
    paths = _each_once(sizes)
    with ThreadPoolExecutor(max_workers=16) as pool:
        found = list(pool.map(lambda path: _look_into(path, sizes[path], options), paths))
    identities = identify({path: sizes[path] for path in paths})
    return [replace(source, identity=identities[source.path]) for source in found]


def find_nonempty_sources(options: InputOptions) -> list[Source]:
    """The input files.

    Raises:
        UsageError, DataError: as `find_sources`; or no file has rows.
    """
    sources = find_sources(options)
    if not cut_into_parts(sources):
        raise DataError(f"no rows in {', '.join(options.input)}: nothing but headers")
    return sources


def _with_directory(pattern: str) -> str:
    """The same files; of a local glob such as `*.csv` or `data*/a.csv` Beam would find none."""
    before_glob = re.split(r"[*?\[]", pattern, maxsplit=1)[0]
    if before_glob == pattern or os.path.dirname(before_glob) or FileSystems.get_scheme(pattern):
        return pattern
    return os.path.join(".", pattern)


def _each_once(paths: Iterable[str]) -> list[str]:
    """In order, without other spellings of one path (`data/a.csv`, `./data/a.csv`).

    Links stay: one file linked into two directories may have two labels.
    """
    once: dict[str, str] = {}
    for path in sorted(paths):
        local = FileSystems.get_scheme(path) is None
        once.setdefault(os.path.abspath(path) if local else path, path)
    return sorted(once.values())


def describe_inputs(sources: Sequence[Source]) -> list[dict[str, Any]]:
    """Each input file, and what tells its content from another: equal for equal inputs."""
    return [
        {"path": source.path, "bytes": source.bytes, "identity": source.identity}
        for source in sources
    ]


def cut_into_parts(sources: Sequence[Source]) -> list[Part]:
    """Parts of a block each, or of several where there would be too many.

    Each block has a value for each shard: the blocks of a large input are larger. On a store a part
    is worth the request that opens it.
    """
    total = sum(source.bytes for source in sources)
    block = min(max(MIN_BLOCK_BYTES, total // _BLOCKS), MAX_BLOCK_BYTES)
    size = max(block, total // _MAX_PARTS)
    ranges = [
        (source, start, end)
        for source in sources
        for start, end in _ranges(
            source, size if is_local(source.path) else max(size, _MIN_STORE_PART_BYTES)
        )
    ]
    return [
        Part(index, source, start, end, block) for index, (source, start, end) in enumerate(ranges)
    ]


def _ranges(source: Source, size: int) -> Iterator[tuple[int, int | None]]:
    if source.format == "parquet":
        step = max(1, source.row_groups * size // max(source.bytes, 1))
        for start in range(0, source.row_groups, step):
            yield start, min(start + step, source.row_groups)
    elif source.compression:
        yield source.data_start, None
    else:
        for start in range(source.data_start, source.bytes, size):
            yield start, min(start + size, source.bytes)


def open_bytes(source: Source) -> BinaryIO:
    """The file as a stream of its plain bytes, decompressed where it is compressed."""
    stream = open_file(source.path)
    if source.compression is None:
        return stream
    return pa.CompressedInputStream(pa.PythonFile(stream, "r"), source.compression)  # type: ignore[no-any-return]


def _look_into(path: str, size: int, options: InputOptions) -> Source:
    if os.path.isdir(path):
        raise DataError(f"{path} is a directory; did you mean --input {path.rstrip('/') + '/*'!r}?")
    if size == 0:
        raise DataError(f"{path}: the file is empty")
    name, compression = path, None
    for suffix, kind in _COMPRESSION_OF_SUFFIX.items():
        if path.lower().endswith(suffix):
            name, compression = path[: -len(suffix)], kind
    form = _choose_format(name, path, options)
    bare = Source(path, size, form, compression, (), 0, 0)
    try:
        if form == "parquet":
            return _look_into_parquet(bare, options)
        if form == "jsonl":
            return _look_into_jsonl(bare, options)
        if form == "text":
            return _look_into_text(bare, name, options)
        return _look_into_table(bare, options)
    except (OSError, EOFError, pa.ArrowInvalid, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as {form}: {error}") from error


def _choose_format(name: str, path: str, options: InputOptions) -> str:
    form = options.format if options.format != "auto" else _format_of(name, path)
    if form == "text" and options.label_from is None and options.label_column is not None:
        raise UsageError(f"{path}: {NO_LABEL_FROM}")
    if form != "text" and options.label_from is not None:
        raise UsageError(f"--label-from: is for text, but {path} is {form}; or say --format text")
    return form


def _format_of(name: str, path: str) -> str:
    for suffix, form in _FORMAT_OF_SUFFIX.items():
        if name.lower().endswith(suffix):
            return form
    raise DataError(
        f"{path}: cannot tell the format from the name; expected one of "
        f"{', '.join(_FORMAT_OF_SUFFIX)}, or say --format"
    )


def _look_into_table(bare: Source, options: InputOptions) -> Source:
    with open_bytes(bare) as stream:
        head = stream.read(_MAX_HEADER_BYTES)
    bom = len(_UTF8_BOM) if head.startswith(_UTF8_BOM) else 0
    line, newline, _ = head[bom:].partition(b"\n")
    if not newline and len(head) == _MAX_HEADER_BYTES:
        raise DataError(f"{bare.path}: no line end in the first {_MAX_HEADER_BYTES} bytes")
    try:
        columns = _split_header(line.rstrip(b"\r").decode("utf-8"), bare.format)
    except UnicodeDecodeError as error:
        raise DataError(f"{bare.path}: row 1: the header is not UTF-8: {error}") from error
    except csv.Error as error:
        # Such as carriage returns instead of newlines, which make all of the file one line.
        raise DataError(f"{bare.path}: row 1: the header is not CSV: {error}") from error
    return _with_columns(
        bare, columns, options, data_start=bom + len(line) + len(newline), first_row=2
    )


def _split_header(line: str, form: str) -> list[str]:
    if form == "tsv":
        return line.split("\t")
    return next(csv.reader(io.StringIO(line)), [])


def _look_into_jsonl(bare: Source, options: InputOptions) -> Source:
    """JSON Lines have no header: the columns are the keys seen in the first rows.

    Where even the first row is longer than what is looked at, they are taken to be there.
    """
    with open_bytes(bare) as stream:
        head = stream.read(_MAX_HEADER_BYTES)
    bom = len(_UTF8_BOM) if head.startswith(_UTF8_BOM) else 0
    lines = head[bom:].split(b"\n")
    if len(head) == _MAX_HEADER_BYTES and len(lines) > 1:
        lines.pop()
    keys: dict[str, None] = {}
    if len(head) == _MAX_HEADER_BYTES and len(lines) == 1:
        keys = dict.fromkeys(name for _, name in _wanted_columns(options))
    for line in lines[:100]:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict):
            keys.update(dict.fromkeys(row))
    return _with_columns(bare, list(keys), options, data_start=bom)


def _look_into_text(bare: Source, name: str, options: InputOptions) -> Source:
    """Text has neither header nor columns; `name` is the path without a suffix of compression."""
    with open_bytes(bare) as stream:
        bom = len(_UTF8_BOM) if stream.read(len(_UTF8_BOM)) == _UTF8_BOM else 0
    if options.label_from is None:
        return replace(bare, data_start=bom)
    label = _label_in_path(name, options.label_from)
    if not label.strip() or _NOT_IN_A_LABEL.search(label):
        raise DataError(
            f"{bare.path}: --label-from {options.label_from} gives the label {label!r}, expected "
            "a name; rename it, or give a path that holds it"
        )
    return replace(bare, label_of_all=label, data_start=bom)


def _label_in_path(path: str, label_from: str) -> str:
    """The name of the directory that holds `path`, or of the file without its suffix."""
    directory, name = FileSystems.split(path)  # absolute, if local
    if label_from == "directory":
        return str(directory).rstrip("/").rpartition("/")[2]
    stem, dot, _ = str(name).rpartition(".")
    return stem if dot else str(name)


def _look_into_parquet(bare: Source, options: InputOptions) -> Source:
    with open_bytes(bare) as stream:
        metadata = pq.ParquetFile(stream)
        schema, row_groups = metadata.schema_arrow, metadata.num_row_groups
    source = _with_columns(bare, schema.names, options, row_groups=row_groups)
    for name in source.column_names:
        kind = schema.field(name).type
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind
        if not (_is_text(kind) or (name == options.label_column and pa.types.is_integer(kind))):
            raise DataError(f"{bare.path}: column {name!r} is {kind}, expected text")
    return source


def _is_text(kind: pa.DataType) -> bool:
    kinds = (pa.string(), pa.large_string(), pa.binary(), pa.large_binary())
    return kind in (*kinds, pa.string_view(), pa.binary_view())


def _listed(columns: Sequence[str]) -> str:
    names = [repr(name) for name in columns[:_SHOWN_COLUMNS]]
    if more := len(columns) - len(names):
        names.append(f"and {more:,} more")
    return ", ".join(names) or "(none)"


def _wanted_columns(options: InputOptions) -> list[tuple[str, str]]:
    """The flag and the name of each column that must be there."""
    wanted = [("--sequence-column", options.sequence_column)]
    if options.label_column is not None:
        wanted.append(("--label-column", options.label_column))
    return wanted


def _with_columns(
    bare: Source,
    columns: Sequence[str],
    options: InputOptions,
    data_start: int = 0,
    first_row: int = 1,
    row_groups: int = 0,
) -> Source:
    for flag, name in _wanted_columns(options):
        if list(columns).count(name) != 1:
            found = "no column" if name not in columns else "more than one column"
            raise DataError(
                f"{bare.path}: {found} {name!r}; its columns are {_listed(columns)}; "
                f"say which with {flag}"
            )
    return Source(
        path=bare.path,
        bytes=bare.bytes,
        format=bare.format,
        compression=bare.compression,
        columns=tuple(columns),
        sequence=list(columns).index(options.sequence_column),
        label=None if options.label_column is None else list(columns).index(options.label_column),
        data_start=data_start,
        first_row=first_row,
        row_groups=row_groups,
    )

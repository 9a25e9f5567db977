"""The input files: which there are, their format and header, and what identifies their content."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import BinaryIO
from urllib.parse import unquote

import pyarrow as pa
from apache_beam.io.filesystems import FileSystems

from charseq.console.messages import name_first, print_error
from charseq.console.redaction import redact
from charseq.errors import DataError, UsageError
from charseq.manifest import InputFile
from pipeline.formats.archives import DAMAGED_STREAM, ZipReader
from pipeline.formats.columns import MissingColumnError
from pipeline.formats.head import Header
from pipeline.formats.headers import read_header
from pipeline.formats.signatures import (
    SIGNATURE_BYTES,
    check_is_text,
    decode_stream,
    find_compression,
    is_parquet,
)
from pipeline.input_options import FORMATS_WITHOUT_COLUMNS, NO_LABEL_FROM, InputOptions
from pipeline.label_pattern import DEFAULT_LABEL_PATTERN, to_named_pattern
from pipeline.rows.identity import Identity, check_identities, identify, read_versions
from pipeline.runtime.filesystems import is_local, open_file
from pipeline.runtime.globs import Matches, expand_braces, match_files

_CONCURRENT_FILES = 16
_FORMAT_OF_SUFFIX = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".txt": "text",
    ".fasta": "fasta",
    ".fa": "fasta",
    ".faa": "fasta",
}
_COMPRESSION_OF_SUFFIX = {
    ".gz": "gzip",
    ".bz2": "bz2",
    ".zst": "zstd",
    ".xz": "xz",
    ".zip": "zip",
}
# What Hive and Spark write for a null in the name of a directory.
_NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"
# A line break, or (as Python shows it) a byte of a file name that is not UTF-8.
_NOT_IN_A_LABEL = re.compile("[\r\n\ud800-\udfff]")
_UNKNOWN = Identity("", 0)


@dataclass(frozen=True)
class Source:
    """One input file, as its name and its first bytes describe it.

    compression: see `find_compression`. label_of_all: the label of every row where it follows from
    the path (text, fasta, partitions), else None. label_pattern: see `to_named_pattern`; None where
    labels are not in headers of fasta. delimiter: of a table, where `--delimiter` names it.
    identity: what it held before it was read. split: of every row, if the split has an input of its
    own.
    """

    path: str
    bytes: int
    format: str
    compression: str | None
    header: Header
    label_of_all: str | None = None
    label_pattern: str | None = None
    delimiter: str | None = None
    identity: Identity = _UNKNOWN
    split: str | None = None

    @property
    def can_be_cut(self) -> bool:
        """Whether text can be read from any byte on."""
        return self.compression is None and self.header.encoding == "utf-8"

    @property
    def is_only_header(self) -> bool:
        """Whether nothing follows the header; False if that is not known before it is read."""
        if self.format == "parquet":
            return self.header.row_groups == 0
        return self.header.is_empty or (self.can_be_cut and self.header.data_start >= self.bytes)


def find_nonempty_sources(options: InputOptions) -> list[Source]:
    """Return the input files; print a note where some are empty, or were passed over.

    Raises:
        UsageError, DataError: as `find_sources`; or no file has anything after its header.
    """
    matches, split_of_path = _match_inputs(options)
    if matches.passed_over:
        print_error(f"note: {_count_passed_over(matches.passed_over)}")
    sources = _read_sources(matches.sizes, options, split_of_path)
    empty = [source.path for source in sources if source.header.is_empty]
    if len(empty) == len(sources):
        raise DataError(f"no rows in {name_first(options.input)}: {_count_empty(empty)}")
    if all(source.is_only_header for source in sources):
        raise DataError(f"no rows in {name_first(options.input)}: nothing but headers")
    if empty:
        print_error(f"note: {_count_empty(empty)}")
    return sources


def _count_empty(paths: Sequence[str]) -> str:
    """Return a user-facing text that names the first empty files."""
    if len(paths) == 1:
        return f"the file {paths[0]} is empty"
    return f"{len(paths):,} files are empty: {name_first(paths)}"


def find_sources(options: InputOptions) -> list[Source]:
    """Return the files that match `--input`, in the order of their paths.

    Raises:
        DataError: no file matches, or one is unreadable or lacks a column or a label.
        UsageError: `--label-from` is missing for text, or set for another format.
    """
    matches, split_of_path = _match_inputs(options)
    return _read_sources(matches.sizes, options, split_of_path)


def _match_inputs(options: InputOptions) -> tuple[Matches, dict[str, str]]:
    """Return what all inputs match, and the split of each path whose input is of one.

    Raises:
        DataError: no file matches one of them, or a file is in two splits.
    """
    if not options.split_inputs:
        return _match_all(options.input, options.input_flag), {}
    sizes: dict[str, int] = {}
    passed_over: set[str] = set()
    split_of_path: dict[str, str] = {}
    split_of_file: dict[str, str] = {}
    for split, inputs in options.split_inputs.items():
        matches = _match_all(inputs, f"--{split}-input")
        for path in matches.sizes:
            other = split_of_file.setdefault(_spell_once(path), split)
            if other != split:
                raise DataError(f"{path} is in both --{other}-input and --{split}-input")
            split_of_path[path] = split
        sizes |= matches.sizes
        passed_over.update(matches.passed_over)
    return Matches(sizes, tuple(sorted(passed_over - sizes.keys()))), split_of_path


def _match_all(inputs: Iterable[str], flag: str) -> Matches:
    """Return what all values of a flag match, each of them at least one file.

    Raises:
        DataError: no file matches one of them.
    """
    sizes: dict[str, int] = {}
    passed_over: set[str] = set()
    for value in inputs:
        whole = match_files(value)
        alternatives = [value] if whole.sizes else expand_braces(value)
        for pattern in alternatives:
            matches = whole if pattern == value else match_files(pattern)
            if not matches.sizes:
                raise DataError(
                    f"no file matches {flag} {pattern!r}"
                    f"{_why_none(pattern, matches.passed_over, flag)}"
                )
            sizes |= matches.sizes
            passed_over.update(matches.passed_over)
    return Matches(sizes, tuple(sorted(passed_over - sizes.keys())))


def _why_none(pattern: str, passed_over: Sequence[str], flag: str) -> str:
    """Return what may be wrong with a pattern that matches nothing, as the end of a message."""
    if passed_over:
        return f"; {_count_passed_over(passed_over)}"
    if "," in pattern:
        return f"; several are given as {flag} A B, or as a pattern such as 'data/{{a,b}}.csv'"
    if "[" in pattern:
        return "; in a pattern, [[] stands for an opening bracket"
    return ""


def _count_passed_over(paths: Sequence[str]) -> str:
    files = "1 file was" if len(paths) == 1 else f"{len(paths):,} files were"
    return (
        f"{files} passed over, whose names begin with . or _, or which mark folders: "
        f"{name_first(paths)}; to read one, name it"
    )


def _read_sources(
    sizes: Mapping[str, int], options: InputOptions, split_of_path: Mapping[str, str]
) -> list[Source]:
    paths = _without_other_spellings(sizes)
    # Before anything is read, so that every change is found.
    versions = read_versions(paths)
    with ThreadPoolExecutor(_CONCURRENT_FILES) as pool:
        sources = list(pool.map(lambda path: _read_source(path, sizes[path], options), paths))
    identities = identify({path: sizes[path] for path in paths}, versions)
    return [
        replace(source, identity=identities[source.path], split=split_of_path.get(source.path))
        for source in sources
    ]


def _without_other_spellings(paths: Iterable[str]) -> list[str]:
    """Return the paths in order, each file by one spelling (`data/a.csv`, `./data/a.csv`).

    Links are not followed: one file linked into two directories may have two labels.
    """
    spellings: dict[str, str] = {}
    for path in sorted(paths):
        spellings.setdefault(_spell_once(path), path)
    return sorted(spellings.values())


def _spell_once(path: str) -> str:
    """Return the one spelling of a path by which files are compared."""
    return os.path.abspath(path) if is_local(path) else path


def _read_source(path: str, size: int, options: InputOptions) -> Source:
    if os.path.exists(path) and not os.path.isfile(path):
        raise DataError(
            f"{path} is a pipe or a device, expected a regular file, which can be read more than "
            "once; write it to a file first"
        )
    if size == 0:
        return Source(path, size, "text", None, Header(is_empty=True))
    with _errors_with_path(path):
        form, compression = _recognize(path, options)
        partition = _label_of_partition(path, form, options)
        try:
            header = _read_header(path, compression, form, options)
            if partition is not None and options.label_column in header.assumed:
                header = replace(header, label=None)
            elif form not in FORMATS_WITHOUT_COLUMNS:
                partition = None
        except MissingColumnError:
            # A column of the file counts, and only without one the directory that names it.
            if partition is None:
                raise
            without_label = replace(options, label_column=None)
            header = _read_header(path, compression, form, without_label)
    if partition is None:
        _check_options(form, path, options)
    return Source(
        path=path,
        bytes=size,
        format=form,
        compression=compression,
        header=header,
        label_of_all=_label_of_all(path, options) if partition is None else partition,
        label_pattern=_label_pattern(form, options) if partition is None else None,
        delimiter=options.delimiter,
    )


def _read_header(path: str, compression: str | None, form: str, options: InputOptions) -> Header:
    with open_bytes(path, compression) as stream:
        return read_header(stream, form, options)


@contextmanager
def _errors_with_path(path: str) -> Iterator[None]:
    try:
        yield
    except DataError as error:
        raise type(error)(f"{path}: {error}") from error
    except (OSError, EOFError, pa.ArrowInvalid, UnicodeDecodeError, *DAMAGED_STREAM) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error


def _label_of_partition(path: str, form: str, options: InputOptions) -> str | None:
    """Return the label that a directory names as Hive does: alpha of `label=alpha/part-0.parquet`.

    "" stands for a null; None if no directory names it, or the label is wanted from elsewhere.
    """
    if options.label_column is None or options.label_from or options.label_pattern:
        return None
    for folder in reversed(path.split("/")[:-1]):
        key, equals, value = folder.partition("=")
        if equals and unquote(key) == options.label_column:
            return "" if value == _NULL_PARTITION else unquote(value)
    return None


def _recognize(path: str, options: InputOptions) -> tuple[str, str | None]:
    """Return the format and the compression of a file, by its name and its first bytes.

    Raises:
        DataError: they do not fit together, or the format is not known; without the path.
    """
    _, named = _split_compression(path)
    form = find_format(path, options)
    with open_file(path) as stream:
        head = stream.read(SIGNATURE_BYTES)
        compression = find_compression(head)
        if compression == "zip":
            form = form or find_format(ZipReader(stream).name, options)
    if named and not compression:
        raise DataError(
            f"cannot be read: by its name it is compressed with {named}, but it is not; rename it"
        )
    if options.format == "auto" and is_parquet(head):
        form = "parquet"
    if not compression and form != "parquet":
        check_is_text(head)
    if form == "parquet" and not compression and not is_parquet(head):
        raise DataError("it is not Parquet, as its name or --format says")
    if form is None:
        raise DataError(
            "cannot tell the format from the name; expected one of "
            f"{', '.join(_FORMAT_OF_SUFFIX)}, or say --format"
        )
    return form, compression


def _split_compression(path: str) -> tuple[str, str | None]:
    """Return `path` without a suffix of compression, and the compression."""
    for suffix, compression in _COMPRESSION_OF_SUFFIX.items():
        if path.lower().endswith(suffix):
            return path[: -len(suffix)], compression
    return path, None


def find_format(path: str, options: InputOptions) -> str | None:
    """Return the format that `--format` or the name of a file says; None if neither does."""
    if options.format != "auto":
        return options.format
    name, _ = _split_compression(path)
    for suffix, form in _FORMAT_OF_SUFFIX.items():
        if name.lower().endswith(suffix):
            return form
    return None


def _check_options(form: str, path: str, options: InputOptions) -> None:
    """Check that the options are those of a file of the format `form`.

    Raises:
        UsageError: they are not.
    """
    if form == "text" and options.label_from is None and options.label_column is not None:
        raise UsageError(f"{path}: {NO_LABEL_FROM}")
    if form not in FORMATS_WITHOUT_COLUMNS and options.label_from is not None:
        raise UsageError(
            f"--label-from: is for {' and '.join(FORMATS_WITHOUT_COLUMNS)}, but {path} is {form}"
        )
    try:
        options.check_format(form)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None


def open_bytes(path: str, compression: str | None, encoding: str = "utf-8") -> BinaryIO:
    """Return a stream of the bytes of a file, decompressed, and as UTF-8 if it is text."""
    return decode_stream(open_file(path), compression, encoding)


def _label_of_all(path: str, options: InputOptions) -> str | None:
    """Return the label that the path names, if that is where it is wanted from."""
    if options.label_from is None:
        return None
    name, _ = _split_compression(path)
    label = _label_in_path(name, options.label_from)
    if not label.strip() or _NOT_IN_A_LABEL.search(label):
        raise DataError(
            f"{path}: --label-from {options.label_from} gives the label {label!r}, expected "
            "a name; rename it, or give a path that holds it"
        )
    return label


def _label_pattern(form: str, options: InputOptions) -> str | None:
    """Return the pattern that finds labels in headers, if that is where they are wanted from."""
    if form != "fasta" or options.label_column is None or options.label_from is not None:
        return None
    return to_named_pattern(options.label_pattern or DEFAULT_LABEL_PATTERN)


def _label_in_path(path: str, label_from: str) -> str:
    """Return the name of the directory that holds `path`, or of the file without its suffix."""
    directory, name = FileSystems.split(path)  # absolute, if local
    if label_from == "directory":
        return str(directory).rstrip("/").rpartition("/")[2]
    stem, dot, _ = str(name).rpartition(".")
    return stem if dot else str(name)


def describe_inputs(sources: Sequence[Source]) -> tuple[InputFile, ...]:
    """Return path, size and identity of each file, as a manifest holds them: without secrets."""
    return tuple(
        InputFile(redact(source.path), source.bytes, source.identity.content, source.split)
        for source in sources
    )


def check_unchanged(sources: Sequence[Source]) -> None:
    """Check, after all were read, that the files are those that were identified before.

    Raises:
        DataError: one is not; the message names it.
    """
    check_identities({source.path: source.identity for source in sources})

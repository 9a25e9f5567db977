"""The header of csv and tsv, or the numbers of the columns where there is none.

A file with another separator, or without a header, often still has one column or row that fits
what a user asks for. Such files are refused with the flag that reads them.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from charseq.errors import DataError
from pipeline.formats.columns import FoundColumns, MissingColumnError, find_columns, show
from pipeline.formats.head import Head, Header
from pipeline.formats.tables import DELIMITERS
from pipeline.input_options import DEFAULT_COLUMNS, InputOptions

_NAMES = {";": "semicolons", "\t": "tabs", ",": "commas", "|": "vertical bars"}


def read_table_header(head: Head, form: str, options: InputOptions) -> Header:
    """Return the header of csv or tsv; or with `--no-header` columns `1`, `2` and so on.

    Blank lines before it are skipped.

    Raises:
        DataError: a wanted column is missing, another character separates the columns, or the
            first row is not what `--no-header`, or its absence, says.
    """
    text = head.text.lstrip(b"\r\n")
    blank = head.text[: len(head.text) - len(text)]
    if head.is_whole and not text:
        return Header(data_start=head.start + len(blank), is_empty=True)
    line, newline, rest = text.partition(b"\n")
    if not newline and not head.is_whole:
        raise DataError(f"no line end in the first {len(head.text)} bytes")
    cells = _split_first(line, form, options)
    first_row = 1 + blank.count(b"\n")
    data_start = head.start + len(blank)
    if options.no_header:
        columns = [str(number + 1) for number in range(len(cells))]
        found = find_columns(columns, options)
        _check_is_row(cells, found.sequence, found.label)
    else:
        columns = cells
        found = _find_named_columns(cells, form, options)
        _check_is_header(cells, _split_rows(rest, form, options), first_row + 1, options)
        first_row, data_start = first_row + 1, data_start + len(line) + len(newline)
    return Header(
        tuple(columns),
        found.sequence,
        found.label,
        data_start,
        first_row,
        encoding=head.encoding,
        has_header=not options.no_header,
        others=found.others,
    )


def _split_first(line: bytes, form: str, options: InputOptions) -> list[str]:
    """Return the cells of the first row.

    Raises:
        DataError: it is not UTF-8 or not CSV, or seems to have another delimiter.
    """
    what = "the first row" if options.no_header else "the header"
    try:
        cells = _split(line.rstrip(b"\r").decode("utf-8"), form, options)
    except UnicodeDecodeError as error:
        raise DataError(
            f"row 1: {what} is not UTF-8: {error}; convert it, for example: "
            "iconv -f WINDOWS-1252 -t UTF-8 FILE > NEW"
        ) from error
    except csv.Error as error:
        raise DataError(f"row 1: {what} is not CSV: {error}") from error
    if line.startswith(b">") and options.delimiter is None:
        raise DataError("row 1 begins with '>', as FASTA does; say --format fasta")
    if options.delimiter is None and len(cells) == 1:
        for delimiter, name in _NAMES.items():
            if delimiter in cells[0]:
                raise DataError(
                    f"row 1 is one column, {show(cells[0])}; if {name} separate its columns, say "
                    f"{_delimiter_flags(delimiter, form)}; if it is one column, say "
                    f"--delimiter {_quote(DELIMITERS[form])}"
                )
    return cells


def _split(line: str, form: str, options: InputOptions, delimiter: str | None = None) -> list[str]:
    delimiter = delimiter or options.delimiter or DELIMITERS[form]
    if form == "tsv":
        return line.split(delimiter)
    return next(csv.reader(io.StringIO(line), delimiter=delimiter), [])


def _delimiter_flags(delimiter: str, form: str) -> str:
    """Return the flags that read columns with this delimiter where `form` does not."""
    if form == "csv":
        return f"--delimiter {_quote(delimiter)}"
    return "--format csv" if delimiter == "," else f"--format csv --delimiter {_quote(delimiter)}"


def _quote(delimiter: str) -> str:
    return "tab" if delimiter == "\t" else f"'{delimiter}'"


def _find_named_columns(cells: list[str], form: str, options: InputOptions) -> FoundColumns:
    try:
        return find_columns(cells, options, by_number=True)
    except MissingColumnError as error:
        raise MissingColumnError(f"{error}; {_advise(cells, form, options)}") from None


def _advise(cells: list[str], form: str, options: InputOptions) -> str:
    """Return what else a user can do about a header without the wanted columns."""
    if cells and cells[0].startswith(("{", "[")):
        return "if it is JSON Lines, say --format jsonl"
    wanted = [name for _, name in options.wanted_columns]
    line = DELIMITERS[form].join(cells)
    for delimiter, name in _NAMES.items():
        if set(wanted) <= set(_split(line, form, options, delimiter)):
            return f"if {name} separate its columns, say {_delimiter_flags(delimiter, form)}"
    sequence, label = (1, 2) if len(cells) == len(wanted) else ("M", "N")
    return f"if row 1 is no header, say {_no_header_flags(sequence, label, options)}"


def _no_header_flags(sequence: int | str, label: int | str, options: InputOptions) -> str:
    """Return the flags for columns of these numbers, or of numbers that a user has to fill in."""
    flags = f"--no-header --sequence-column {sequence}"
    label_flag = "" if options.label_column is None else f" --label-column {label}"
    return flags + label_flag + "".join(f" {flag} …" for flag, _ in options.others)


def _split_rows(rest: bytes, form: str, options: InputOptions) -> Iterator[list[str]]:
    """Yield the cells of the rows after the first; none of rows that are not CSV."""
    for line in rest.decode("utf-8", "replace").split("\n"):
        try:
            yield _split(line.rstrip("\r"), form, options)
        except csv.Error:
            yield []


def _check_is_header(
    cells: list[str], rows: Iterator[list[str]], second: int, options: InputOptions
) -> None:
    """Check that row 1 is a header where columns have been named that might be its values.

    Raises:
        DataError: a row has the name of a column in that column.
    """
    named = [options.sequence_column, *filter(None, [options.label_column])]
    if options.no_header is False or set(named) <= set(DEFAULT_COLUMNS):
        return
    for number, row in enumerate(rows, second):
        for name, value in zip(cells, row, strict=False):
            if value == name and name.strip():
                found = find_columns(cells, options, by_number=True)
                flags = _no_header_flags(found.sequence + 1, (found.label or 0) + 1, options)
                raise DataError(
                    f"row {number} has {show(value)} in the column of that name; if row 1 is no "
                    f"header, say {flags}; if it is one, say --no-header=false"
                )


def _check_is_row(cells: list[str], sequence: int, label: int | None) -> None:
    """Check that the first row of a file without a header is none.

    Raises:
        DataError: it has the default names of the columns.
    """
    if label is not None and (cells[sequence], cells[label]) == DEFAULT_COLUMNS:
        raise DataError("row 1 is a header: 'sequence', 'label'; leave out --no-header")

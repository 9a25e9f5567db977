"""Columns of JSON Lines that the first rows of a file lack: a later row must have them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pipeline.formats.columns import MissingColumnError, find_columns
from pipeline.formats.jsonl import has_key
from pipeline.formats.parsed_rows import ParsedRows
from pipeline.input_options import InputOptions
from pipeline.rows.blocks import Block
from pipeline.rows.counts import ReadCounts
from pipeline.rows.parts import Part
from pipeline.rows.sources import Source


def find_assumed(block: Block, parsed: ParsedRows) -> frozenset[tuple[str, str]]:
    """Return path and name of each assumed column that a row of the block has, null or not."""
    source = block.part.source
    if not source.header.assumed:
        return frozenset()
    labels = [] if source.header.label is None else [parsed.label]
    columns = [parsed.sequence, *labels, *parsed.others]
    values = zip(source.header.column_names, columns, strict=True)
    return frozenset(
        (source.path, name)
        for name, column in values
        if name in source.header.assumed
        and (column.null_count < len(column) or has_key(block.data, name))
    )


def check_assumed(counts: ReadCounts, parts: Sequence[Part], options: InputOptions) -> None:
    """Refuse a file of which no row has a column that its header only assumes.

    Args:
        counts: of all rows.
        parts: all parts of the input.
        options: the columns that are wanted.

    Raises:
        MissingColumnError: the message names the file and the column.
    """
    sources = {part.source.path: part.source for part in parts}
    for source in sources.values():
        if source.header.assumed:
            _check_columns(source, counts, options)


def _check_columns(source: Source, counts: ReadCounts, options: InputOptions) -> None:
    header = source.header
    missing = {name for name in header.assumed if (source.path, name) not in counts.found}
    if not missing.intersection(header.column_names):
        return
    if header.label is None:  # the directory of the file may name it
        options = replace(options, label_column=None)
    try:
        find_columns([name for name in header.columns if name not in missing], options)
    except MissingColumnError as error:
        raise MissingColumnError(f"{source.path}: {error}") from None

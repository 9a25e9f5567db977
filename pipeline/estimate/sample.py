"""A sample of the input: a few parts of its files, and how many of the files' bytes they are."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import pyarrow.parquet as pq

from pipeline.formats.signatures import decode_stream
from pipeline.rows.blocks import Block, parse_block, read_blocks
from pipeline.rows.parts import MIN_BLOCK_BYTES, Part, cut_into_parts
from pipeline.rows.sources import Source
from pipeline.runtime.filesystems import open_file

# Files are often sorted: rows of one place would be alike.
_PLACES = 8
_PROBE_BYTES = 1 << 16
# What is read of a compressed file for its ratio: its reader is some 64 kB ahead.
_RATIO_BYTES = 4 << 20


@dataclass(frozen=True)
class Sample:
    """Some parts of the input.

    file_bytes: how many bytes of the files they are, of compressed files about.
    """

    parts: tuple[Part, ...]
    file_bytes: int

    def blocks(self) -> list[Block]:
        """Return the rows of all parts, those of a text file as one block, as large as usual.

        Raises:
            DataError: a file cannot be read.
        """
        blocks = [block for part in self.parts for block in read_blocks(part)]
        joined: list[Block] = []
        for (_, is_text), group in groupby(
            blocks, lambda block: (block.part.source, isinstance(block.data, bytes))
        ):
            same = list(group)
            if not is_text:
                joined += same
                continue
            lines = [block.data for block in same if isinstance(block.data, bytes)]
            whole = [line if line.endswith(b"\n") else line + b"\n" for line in lines]
            joined.append(Block(same[0].part, 0, b"".join(whole)))
        return joined


def take_sample(sources: Sequence[Source], rows: int) -> Sample:
    """Return a sample of about `rows` rows, from several places of the input.

    Raises:
        DataError: a file cannot be read.
    """
    largest = max(sources, key=lambda source: source.bytes)
    size = max(1, rows // _PLACES) * _bytes_of_row(largest)
    if sum(source.bytes for source in sources) <= _PLACES * size and all(
        source.can_be_cut and source.format != "parquet" for source in sources
    ):
        parts = cut_into_parts(sources)
        return Sample(tuple(parts), sum(source.bytes for source in sources))
    places = list(_choose_places(sources))
    parts, file_bytes = [], 0
    for source, number in Counter(source for source, _ in places).items():
        offsets = [offset for each, offset in places if each is source]
        for start, end, of_file in _ranges(source, offsets, size, rows // _PLACES * number):
            parts.append(Part(len(parts), source, start, end, MIN_BLOCK_BYTES))
            file_bytes += of_file
    return Sample(tuple(parts), file_bytes)


def _bytes_of_row(source: Source) -> int:
    """Return the bytes of a row of text, about; of Parquet, where they are not asked for, 1."""
    if source.format == "parquet":
        return 1
    start = source.header.data_start
    probe = Part(0, source, start, start + _PROBE_BYTES, _PROBE_BYTES)
    block = next(iter(read_blocks(probe)), None)
    if block is None:
        return 1
    return max(1, len(block.data) // max(1, parse_block(block).rows))


def _choose_places(sources: Sequence[Source]) -> Iterator[tuple[Source, int]]:
    """Yield the files at places of equal distance in all bytes, and how far each is into one."""
    total = sum(source.bytes for source in sources)
    for number in range(_PLACES):
        offset = total * number // _PLACES
        for source in sources:
            if offset < source.bytes:
                yield source, offset
                break
            offset -= source.bytes


def _ranges(
    source: Source, offsets: Sequence[int], size: int, rows: int
) -> Iterator[tuple[int, int, int]]:
    """Yield start, end, and the bytes of the file, of what is read of it at some places.

    offsets: of the places. size: the bytes of text at each. rows: wanted in all.
    """
    header = source.header
    if source.format == "parquet":
        yield from _row_groups(source, offsets, rows)
    elif source.can_be_cut:
        for offset in offsets:
            start = max(offset, header.data_start)
            end = min(start + size, source.bytes)
            yield start, end, end - start
    else:
        end = header.data_start + size * len(offsets)
        yield header.data_start, end, _compressed_bytes(source, end)


def _row_groups(
    source: Source, offsets: Sequence[int], rows: int
) -> Iterator[tuple[int, int, int]]:
    with open_file(source.path) as stream:
        metadata = pq.ParquetFile(stream).metadata
        num_rows = max(metadata.num_rows, 1)
    groups = sorted({offset * source.header.row_groups // source.bytes for offset in offsets})
    enough = min(len(groups), math.ceil(rows * source.header.row_groups / num_rows))
    for number in range(enough):
        group = groups[number * len(groups) // enough]
        found = metadata.row_group(group).num_rows
        yield group, group + 1, source.bytes * found // num_rows


def _compressed_bytes(source: Source, end: int) -> int:
    """Return how many bytes of a file hold its first `end` bytes of UTF-8, about."""
    with open_file(source.path) as file:
        stream = decode_stream(file, source.compression, source.header.encoding)
        wanted = max(end, _RATIO_BYTES)
        found = len(stream.read(wanted))
        read = source.bytes if found < wanted else min(file.tell(), source.bytes)
    return min(read, round(read * end / max(found, 1)))

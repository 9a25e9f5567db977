"""Input files cut into the parts that workers read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeline.rows.sources import Source
from pipeline.runtime.filesystems import is_local

MIN_BLOCK_BYTES = 2 << 20  # with what is made of it, about what a processor's cache holds
MAX_BLOCK_BYTES = 16 << 20
_NUM_BLOCKS = 1 << 10
_MAX_PARTS = 20_000
# Beam reads a store 16 MB at a time, however little is requested: the end of each part twice.
_MIN_STORE_PART_BYTES = 64 << 20


@dataclass(frozen=True)
class Part:
    """What a worker reads at a time: bytes or Parquet row groups `start` to `end` of a file.

    A row of text belongs to the part that holds its first byte. `end` is None for a file that can
    only be read as a whole, see `Source.can_be_cut`. Text is parsed about `block_bytes` at a time.
    """

    index: int
    source: Source
    start: int
    end: int | None
    block_bytes: int

    @property
    def bytes(self) -> int:
        """How many of the file's bytes it takes, about."""
        source = self.source
        if source.format == "parquet":
            return source.bytes * ((self.end or 0) - self.start) // source.header.row_groups
        return source.bytes if self.end is None else self.end - self.start


def cut_into_parts(sources: Sequence[Source]) -> list[Part]:
    """Return parts of a block each, or of several blocks where there would be too many parts.

    The shuffle moves a value from each block to each shard, so blocks of a large input are larger.
    On a store a part is large enough to be worth the request that opens it.
    """
    total = sum(source.bytes for source in sources)
    block = min(max(MIN_BLOCK_BYTES, total // _NUM_BLOCKS), MAX_BLOCK_BYTES)
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
    """Yield start and end of parts of about `size` bytes; none if there is only a header."""
    header = source.header
    if source.format == "parquet":
        step = max(1, header.row_groups * size // max(source.bytes, 1))
        for start in range(0, header.row_groups, step):
            yield start, min(start + step, header.row_groups)
    elif not source.can_be_cut:
        yield header.data_start, None
    else:
        for start in range(header.data_start, source.bytes, size):
            yield start, min(start + size, source.bytes)

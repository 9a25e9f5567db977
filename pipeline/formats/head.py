"""The beginning of an input file: its first bytes as UTF-8, and the header found in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

from charseq.errors import DataError
from pipeline.formats.signatures import check_is_text, find_encoding

MAX_HEAD_BYTES = 1 << 20
_UTF8_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Header:
    """What the first bytes of a file say; of a Parquet file, its schema.

    columns: none in text. sequence, label, others: positions among `columns`; `label` is None
    where no labels are wanted. data_start: the byte at which rows begin, in UTF-8. first_row: the
    number of the first row, a line number except in Parquet. row_groups: of Parquet. encoding: see
    `find_encoding`. is_empty: whether there is nothing but blank lines. has_header: whether the
    names of the columns are a row of the file. assumed: those of `columns` that no row read so far
    has (of JSON Lines), and a later one must have.
    """

    columns: tuple[str, ...] = ()
    sequence: int = 0
    label: int | None = None
    data_start: int = 0
    first_row: int = 1
    row_groups: int = 0
    encoding: str = "utf-8"
    is_empty: bool = False
    has_header: bool = False
    assumed: tuple[str, ...] = ()
    others: tuple[int, ...] = ()

    @property
    def column_names(self) -> tuple[str, ...]:
        """The names of the sequence column, the label column if it is wanted, and the others."""
        positions = (self.sequence, self.label, *self.others)
        return tuple(self.columns[position] for position in positions if position is not None)


@dataclass(frozen=True)
class Head:
    """The first bytes of a text file, `MAX_HEAD_BYTES` at most, decompressed.

    text: as UTF-8, without a byte order mark. start: the size of that mark in the UTF-8. is_whole:
    whether this is all of the file. encoding: of the file, see `find_encoding`.
    """

    text: bytes
    start: int
    is_whole: bool
    encoding: str


def read_head(stream: BinaryIO) -> Head:
    """Return the first bytes of a text file.

    Args:
        stream: the file from its beginning, decompressed.

    Raises:
        DataError: the file is no text, or has an encoding or line ends that are not read.
    """
    data = stream.read(MAX_HEAD_BYTES)
    check_is_text(data)
    encoding = find_encoding(data)
    text = data
    if encoding != "utf-8":
        cut = data[: len(data) // 2 * 2]  # a character is two or four bytes
        text = cut.decode(encoding, "replace").encode("utf-8", "replace")
    start = len(_UTF8_MARK) if text.startswith(_UTF8_MARK) else 0
    text = text[start:]
    if b"\r" in text.rstrip(b"\r") and b"\n" not in text:
        raise DataError(
            "its lines end with carriage returns alone, expected newlines; convert it: "
            "tr '\\r' '\\n' < FILE > NEW"
        )
    return Head(text, start, len(data) < MAX_HEAD_BYTES, encoding)

"""Packed rows kept in files, where Beam then moves only their places.

Its in-process runner keeps all that is between two steps in memory: with the rows themselves, its
memory would grow with the input.
"""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from pipeline.runtime.filesystems import is_local


class Spilled(NamedTuple):
    """The place of a value: `size` bytes from `start` of a local file."""

    path: str
    start: int
    size: int


# Packed rows, or where they are.
Packed = bytes | Spilled


@dataclass(frozen=True)
class Spill:
    """Keeps values in files of a local directory, or in memory if that is None.

    Nothing is removed one by one: the directory goes as a whole when the run has ended.
    """

    directory: str | None

    def put(self, value: bytes) -> Packed:
        """Keep a value, and return what `load` takes.

        Raises:
            OSError: the file cannot be written.
        """
        ((_, kept),) = self.put_all([(0, value)])
        return kept

    def put_all(self, values: Sequence[tuple[int, bytes]]) -> list[tuple[int, Packed]]:
        """Keep values with numbers, in one new file, and return what `load` takes for each.

        Raises:
            OSError: the file cannot be written.
        """
        if self.directory is None or not values:
            return list(values)
        path = os.path.join(self.directory, f"rows-{uuid.uuid4().hex}")
        with open(path, "xb") as file:
            return [
                (number, Spilled(path, file.tell(), file.write(value))) for number, value in values
            ]


@contextmanager
def open_spill(staging: str, is_local_run: bool) -> Iterator[Spill]:
    """Yield a spill for a run: on the disk if it runs on this machine.

    staging: the directory of the run, in which the files are if it is a local one; else they are
    in a temporary directory, which is removed after the block.
    """
    if not is_local_run:
        yield Spill(None)
    elif is_local(staging):
        yield Spill(staging)
    else:
        with tempfile.TemporaryDirectory() as directory:
            yield Spill(directory)


def load(packed: Packed) -> bytes:
    """Return the value.

    Raises:
        OSError: its file cannot be read.
    """
    if isinstance(packed, bytes):
        return packed
    with open(packed.path, "rb") as file:
        file.seek(packed.start)
        return file.read(packed.size)

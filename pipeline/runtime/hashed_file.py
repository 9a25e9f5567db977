"""A file while it is written: compressed or not, with its size and SHA-256."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable
from typing import Any, BinaryIO

from pipeline.runtime.filesystems import create


class HashedFile:
    """A file that is hashed while it is written, for a `with` block.

    bytes, sha256: of the bytes in the file so far, compressed if they are.
    """

    def __init__(self, path: str, compression: str = "none") -> None:
        self.bytes = 0
        self.sha256 = hashlib.sha256()
        self._file: BinaryIO = create(path)
        # No name and no time in the header: the same rows make the same bytes.
        self._gzip = (
            gzip.GzipFile("", "wb", fileobj=_Sink(self._write), mtime=0)
            if compression == "gzip"
            else None
        )

    def __enter__(self) -> HashedFile:
        return self

    def __exit__(self, *_: object) -> None:
        if self._gzip:
            self._gzip.close()
        self._file.close()

    def write(self, data: memoryview) -> None:
        """Append `data`, before compression."""
        if self._gzip:
            self._gzip.write(data)
        else:
            self._write(data)

    def _write(self, data: Any) -> int:
        self.sha256.update(data)
        self.bytes += len(data)
        return self._file.write(data)


class _Sink:
    """What GzipFile needs of a file that it writes to."""

    def __init__(self, write: Callable[[Any], int]) -> None:
        self.write = write

    def flush(self) -> None: ...

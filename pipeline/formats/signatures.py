"""What the first bytes of a file say: its compression, its encoding, or that it is no text."""

from __future__ import annotations

import codecs
import io
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from charseq.errors import DataError
from pipeline.formats.archives import XzReader, ZipReader

SIGNATURE_BYTES = 16
_COMPRESSIONS = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bz2",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\xfd7zXZ\x00": "xz",
    b"PK\x03\x04": "zip",
}
_PARQUET = b"PAR1"
_NOT_READ = {
    b"\xd0\xcf\x11\xe0": "an Excel workbook (.xls); save the sheet as CSV",
    _PARQUET: "Parquet; say --format parquet",
    b"ARROW1": "an Arrow file; save it as Parquet",
    b"Obj\x01": "an Avro file; save it as Parquet or JSON Lines",
    b"ORC": "an ORC file; save it as Parquet",
    b"SQLite format 3": "an SQLite database; export the table as CSV",
    b"%PDF": "a PDF document",
    b"\x04\x22\x4d\x18": "compressed with lz4; compress it with gzip, bzip2, xz or zstd",
    b"7z\xbc\xaf": "a 7z archive; unpack it",
    b"{\\rtf": "a document in rich text; save it as plain text",
}
_MARKS = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_UTF32_MARKS = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
# UTF-16 that begins with ASCII has NULs at even places or at odd places of its first bytes.
_UTF16_BYTES = range(16, 256)
_LEAST_NULS, _MOST_NULS_ELSEWHERE = 0.25, 0.01


def find_compression(head: bytes) -> str | None:
    """Return the compression of a file that begins with `head`; None if there is none."""
    for signature, compression in _COMPRESSIONS.items():
        if head.startswith(signature):
            return compression
    return None


def is_parquet(head: bytes) -> bool:
    """Return whether a file that begins with `head` is Parquet."""
    return head.startswith(_PARQUET)


def check_is_text(head: bytes) -> None:
    """Check that a file, decompressed, is none of the binary files that are taken for text.

    Raises:
        DataError: it is; the message says what it is and what to do.
    """
    if find_compression(head):
        raise DataError("it is compressed twice; decompress it once")
    for signature, what in _NOT_READ.items():
        if head.startswith(signature):
            raise DataError(f"it is {what}")


def find_encoding(head: bytes) -> str:
    """Return the encoding of a text file that begins with `head`: utf-8, utf-16-le or utf-16-be.

    Raises:
        DataError: it is UTF-32, or UTF-16 without a byte order mark.
    """
    if head.startswith(_UTF32_MARKS):
        raise DataError(f"it is UTF-32; {_convert('UTF-32')}")
    for mark, encoding in _MARKS.items():
        if head.startswith(mark):
            return encoding
    if b"\0" in head and (name := _unmarked_utf16(head)):
        raise DataError(f"it looks like UTF-16 without a byte order mark; {_convert(name)}")
    return "utf-8"


def _convert(encoding: str) -> str:
    return f"convert it: iconv -f {encoding} -t UTF-8 FILE > NEW"


def _unmarked_utf16(head: bytes) -> str | None:
    if len(head) < _UTF16_BYTES.start:
        return None
    is_nul = np.frombuffer(head[: _UTF16_BYTES.stop], np.uint8) == 0
    even, odd = is_nul[0::2].mean(), is_nul[1::2].mean()
    if odd >= _LEAST_NULS and even <= _MOST_NULS_ELSEWHERE:
        return "UTF-16LE"
    if even >= _LEAST_NULS and odd <= _MOST_NULS_ELSEWHERE:
        return "UTF-16BE"
    return None


def decode_stream(stream: BinaryIO, compression: str | None, encoding: str) -> BinaryIO:
    """Return a stream of the UTF-8 that `stream` holds, compressed or in another encoding.

    Args:
        stream: the bytes of a file.
        compression: see `find_compression`.
        encoding: see `find_encoding`.

    Raises:
        DataError: a zip archive does not hold one file, or holds it encrypted.
        OSError, EOFError, one of DAMAGED_STREAM: an archive cannot be read.
    """
    if compression == "xz":
        stream = io.BufferedReader(XzReader(stream))
    elif compression == "zip":
        stream = io.BufferedReader(ZipReader(stream))
    elif compression is not None:
        stream = pa.CompressedInputStream(pa.PythonFile(stream, "r"), compression)
    return stream if encoding == "utf-8" else io.BufferedReader(_ToUtf8(stream, encoding))


class _ToUtf8(io.RawIOBase):
    """The text of a stream as UTF-8; half a surrogate pair becomes bytes that are not UTF-8."""

    def __init__(self, stream: BinaryIO, encoding: str) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")
        self._pending = b""

    def readable(self) -> bool:
        """See io.RawIOBase."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """See io.RawIOBase; raise UnicodeError if the stream ends within a character."""
        while not self._pending:
            chunk = self._stream.read(len(buffer))
            text = self._decoder.decode(chunk, final=not chunk)
            self._pending = text.encode("utf-8", "surrogatepass")
            if not chunk:
                break
        size = min(len(buffer), len(self._pending))
        buffer[:size] = self._pending[:size]
        self._pending = self._pending[size:]
        return size

    def close(self) -> None:
        """See io.RawIOBase."""
        self._stream.close()
        super().close()

"""What Arrow does not decompress: xz, and zip archives of one file."""

from __future__ import annotations

import io
import lzma
import zipfile
import zlib
from typing import BinaryIO

from charseq.console.messages import name_first
from charseq.errors import DataError

# What a stream that was cut off or damaged raises besides OSError and EOFError.
DAMAGED_STREAM = (lzma.LZMAError, zipfile.BadZipFile, zlib.error)
_CHUNK_BYTES = 1 << 16
# Names in documents that are zip archives: Excel's, Word's and those of LibreOffice.
_OF_DOCUMENTS = ("[Content_Types].xml", "xl/", "word/", "META-INF/manifest.xml")


class _Reader(io.RawIOBase):
    """A stream of what another one holds, which is closed with it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def readable(self) -> bool:
        """See io.RawIOBase."""
        return True

    def close(self) -> None:
        """See io.RawIOBase."""
        self._stream.close()
        super().close()


class XzReader(_Reader):
    """The content of an xz file of one stream or several.

    Unlike `lzma.LZMAFile`, it does not pass over what stands behind them.
    """

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__(stream)
        self._decompressor = lzma.LZMADecompressor(lzma.FORMAT_XZ)
        self._pending = b""

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """See io.RawIOBase; raise EOFError or lzma.LZMAError for what is no xz file."""
        while True:
            if self._decompressor.eof and not self._begin_next():
                return 0
            data = b""
            if self._decompressor.needs_input:
                data = self._read_chunk()
                if not data:
                    raise EOFError("the xz stream ends too early")
            found = self._decompressor.decompress(data, len(buffer))
            if found:
                buffer[: len(found)] = found
                return len(found)

    def _begin_next(self) -> bool:
        """Begin with the stream that follows; return whether there is one."""
        self._pending = self._decompressor.unused_data.lstrip(b"\0")
        while not self._pending and (chunk := self._read_chunk()):
            self._pending = chunk.lstrip(b"\0")
        if self._pending:
            self._decompressor = lzma.LZMADecompressor(lzma.FORMAT_XZ)
        return bool(self._pending)

    def _read_chunk(self) -> bytes:
        chunk, self._pending = self._pending or self._stream.read(_CHUNK_BYTES), b""
        return chunk


class ZipReader(_Reader):
    """The content of the only file of a zip archive.

    name: of the file.

    Raises:
        DataError: there is none or another one, or it is encrypted.
        zipfile.BadZipFile: the archive is damaged.
    """

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__(stream)
        archive = zipfile.ZipFile(stream)
        member = _only_member(archive)
        self.name = member.filename
        self._content = archive.open(member)

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """See io.RawIOBase."""
        chunk = self._content.read(len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)


def _only_member(archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    # macOS adds what it knows of each file beside it.
    members = [
        member
        for member in archive.infolist()
        if not member.is_dir() and not member.filename.startswith("__MACOSX/")
    ]
    names = [member.filename for member in members]
    if any(name.startswith(_OF_DOCUMENTS) for name in names):
        raise DataError("it is an Excel workbook or another document; save the sheet as CSV")
    if len(members) != 1:
        raise DataError(
            f"it is a zip archive of {len(members):,} files, expected one"
            f"{': ' if names else ''}{name_first(names)}; unpack it"
        )
    if members[0].flag_bits & 1:
        raise DataError("it is an encrypted zip archive; unpack it")
    return members[0]

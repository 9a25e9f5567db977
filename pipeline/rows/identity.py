"""What identifies the content of an input file, and whether the file still has that content."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from apache_beam.io.filesystem import BeamIOError
from apache_beam.io.filesystems import FileSystems

from charseq.errors import DataError
from charseq.files import sha256_of_file
from pipeline.runtime.filesystems import is_local

# Hashing more takes this one machine seconds, in which a cluster may have read it all.
MAX_HASHED_BYTES = 4 << 30
_CONCURRENT_FILES = 16
_NAME_OF_CHECKSUM = {"s3": "etag", "gs": "crc32c"}
_SHA256, _MTIME = "sha256", "mtime"
_SHOWN_FILES = 5


class Identity(NamedTuple):
    """What a file held at a moment.

    content: changes with the content. Of a local file, `sha256:…` of its bytes as stored
    (compressed, if they are), as `sha256sum` prints it; or, where the local files are larger than
    `MAX_HASHED_BYTES` in all, `mtime:…`, in nanoseconds. On a store, the checksum that the store
    keeps, as `etag:…` (S3), `crc32c:…` (GCS) or `checksum:…`.
    bytes: its size.
    version: changes whenever the file is written or replaced, see `read_versions`.
    """

    content: str
    bytes: int
    version: str = ""


def read_versions(paths: Sequence[str]) -> dict[str, str]:
    """Return a text for each file that changes whenever it is written or replaced.

    Of a local file, its times in nanoseconds and its inode; on a store, the checksum.
    """
    with ThreadPoolExecutor(_CONCURRENT_FILES) as pool:
        return dict(zip(paths, pool.map(_version, paths), strict=True))


def _version(path: str) -> str:
    if is_local(path):
        status = os.stat(path)
        return f"{status.st_mtime_ns}:{status.st_ctime_ns}:{status.st_ino}"
    name = _NAME_OF_CHECKSUM.get(FileSystems.get_scheme(path), "checksum")
    return f"{name}:{FileSystems.checksum(path)}".replace('"', "")


def identify(sizes: Mapping[str, int], versions: Mapping[str, str]) -> dict[str, Identity]:
    """Return what identifies each file, without reading a store.

    Args:
        sizes: bytes by path.
        versions: of `read_versions`, before anything was read.

    Raises:
        OSError: a file no longer exists.
    """
    hashed = sum(size for path, size in sizes.items() if is_local(path)) <= MAX_HASHED_BYTES
    kind = _SHA256 if hashed else _MTIME
    with ThreadPoolExecutor(_CONCURRENT_FILES) as pool:
        contents = pool.map(
            lambda path: _content(path, kind) if is_local(path) else versions[path], sizes
        )
        return {
            path: Identity(content, sizes[path], versions[path])
            for path, content in zip(sizes, contents, strict=True)
        }


def _content(path: str, kind: str) -> str:
    if kind == _SHA256:
        return f"{kind}:{sha256_of_file(path)}"
    return f"{kind}:{os.stat(path).st_mtime_ns}"


def check_identities(identities: Mapping[str, Identity]) -> None:
    """Check that files still are what they were.

    Raises:
        DataError: one of them is not; the message names it.
    """
    with ThreadPoolExecutor(_CONCURRENT_FILES) as pool:
        changes = pool.map(_has_changed, identities, identities.values())
        changed = [path for path, is_so in zip(identities, changes, strict=True) if is_so]
    if changed:
        more = len(changed) - _SHOWN_FILES
        shown = ", ".join(changed[:_SHOWN_FILES]) + (f" and {more:,} more" if more > 0 else "")
        raise DataError(
            f"{shown}: changed while it was read; nothing was published. Start again once nothing "
            "writes to the input"
        )


def _has_changed(path: str, then: Identity) -> bool:
    try:
        if FileSystems.get_filesystem(path).size(path) != then.bytes:
            return True
        if _version(path) == then.version:
            return False
        # Another owner or a new link changes a time as well, and other machines may number files
        # otherwise: the content decides.
        kind = then.content.partition(":")[0]
        return not is_local(path) or _content(path, kind) != then.content
    except (OSError, BeamIOError):
        if FileSystems.exists(path):
            raise
        return True

"""What tells one content of an input file from another, without reading a store twice."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from apache_beam.io.filesystems import FileSystems

from pipeline.runtime.filesystems import is_local

# More takes this one machine seconds, while a cluster may read it in as many.
MAX_HASHED_BYTES = 4 << 30
_CHUNK = 1 << 20
_NAME_OF_CHECKSUM = {"s3": "etag", "gs": "crc32c"}


def identify(sizes: Mapping[str, int]) -> dict[str, str]:
    """The identity of each file, by path; `sizes` are in bytes.

    A local file: `sha256:…`, what `sha256sum` prints, of its bytes as they are (compressed, if
    they are), or `mtime:…` in nanoseconds if the local files have more than `MAX_HASHED_BYTES`
    together. On a store: the checksum that the store keeps, as `etag:…` (S3), `crc32c:…` (GCS) or
    `checksum:…`.

    Raises:
        OSError: a file is gone.
    """
    hashed = sum(size for path, size in sizes.items() if is_local(path)) <= MAX_HASHED_BYTES
    with ThreadPoolExecutor(max_workers=16) as pool:
        return dict(zip(sizes, pool.map(lambda path: _identify(path, hashed), sizes), strict=True))


def _identify(path: str, hashed: bool) -> str:
    if not is_local(path):
        name = _NAME_OF_CHECKSUM.get(FileSystems.get_scheme(path), "checksum")
        return f"{name}:{FileSystems.checksum(path)}".replace('"', "")
    if not hashed:
        return f"mtime:{os.stat(path).st_mtime_ns}"
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return f"sha256:{digest.hexdigest()}"

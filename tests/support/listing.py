"""What is in a directory, to see whether anything in it has changed."""

from __future__ import annotations

import hashlib
from collections.abc import Container
from pathlib import Path


def listing(folder: Path, without: Container[str] = ()) -> dict[str, tuple[int, int, str]]:
    """Size, time of the last change (ns) and SHA-256 of each file; `without` those of these names.

    Names are relative to the folder.
    """
    return {
        name: (
            path.stat().st_size,
            path.stat().st_mtime_ns,
            hashlib.sha256(path.read_bytes()).hexdigest(),
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file() and (name := str(path.relative_to(folder))) not in without
    }

"""The state of a directory, to check that a command changed nothing in it."""

from __future__ import annotations

import hashlib
from collections.abc import Container
from pathlib import Path


def listing(folder: Path, without: Container[str] = ()) -> dict[str, tuple[int, int, str]]:
    """Return (bytes, time of the last change in ns, SHA-256) of each file below `folder`.

    Args:
        folder: its files are named relative to it.
        without: names to leave out.
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

"""Which paths are addresses of object stores."""

from __future__ import annotations


def is_address(path: str) -> bool:
    """Return whether `path` names a place in an object store, such as s3://bucket/name."""
    return "://" in path

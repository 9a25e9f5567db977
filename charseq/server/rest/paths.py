"""The paths of TensorFlow Serving's interface."""

from __future__ import annotations

import re
from typing import NamedTuple

from charseq.server.errors import invalid

_MODEL = r"/v1/models(?:/(?P<name>[^/:]+))?"
_VERSION = r"(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
_POST = re.compile(f"{_MODEL}{_VERSION}:(?P<verb>classify|regress|predict)", re.IGNORECASE)
_GET = re.compile(f"{_MODEL}{_VERSION}(?:/(?P<verb>metadata))?", re.IGNORECASE)
_MAX_VERSION = 2**63 - 1


class ModelPath(NamedTuple):
    """What a path asks for: `predict`, `classify`, `regress`, `metadata` or `status`."""

    name: str
    version: int | None
    verb: str


def is_of_serving(path: str) -> bool:
    """Return whether a path belongs to TensorFlow Serving's interface."""
    return path[:4].lower() == "/v1/"


def parse_path(method: str, path: str) -> ModelPath:
    """Return what a request for TensorFlow Serving asks for.

    Raises:
        RequestError: 400, it has no such path, or not with this method; the version is no number of
            64 bits; it has a label, of which no version here has one.
    """
    pattern = {"POST": _POST, "GET": _GET}.get(method)
    found = pattern.fullmatch(path) if pattern else None
    if not found or (method == "POST" and not found["name"]):
        raise invalid(f"Malformed request: {method} {path}")
    if not found["name"]:
        raise invalid("Missing model name in request.")
    if found["label"]:
        raise invalid(f"Unrecognized servable version label: {found['label']}")
    version = None if found["version"] is None else int(found["version"][:20])
    if version is not None and version > _MAX_VERSION:
        raise invalid(f"Failed to convert version: {found['version']} to numeric.")
    return ModelPath(found["name"], version, (found["verb"] or "status").lower())

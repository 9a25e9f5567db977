"""Paths as users write them."""

from __future__ import annotations

import os
import re
from urllib.parse import unquote

_LOCAL_HOSTS = ("", "localhost")
# As Hadoop and others spell the schemes of these stores.
_SCHEMES = {"s3a": "s3", "s3n": "s3", "gcs": "gs"}
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


def expand_path(text: str) -> str:
    """Return a path, or a pattern of paths, without `~` and `file://`, and with a usual scheme.

    `~` and `~user` are home directories where the text begins with them. A file URI (RFC 8089) is
    an absolute path of this machine: `file:///a%20b` is `/a b`. `s3a://` and `S3://` are `s3://`,
    `gcs://` is `gs://`.

    Raises:
        ValueError: it is empty, as of a variable that is not set; or a file URI is of another
            machine, or not absolute.
    """
    if not text:
        raise ValueError("got '', expected a path")
    if scheme := _SCHEME.match(text):
        name = scheme[1].lower()
        text = f"{_SCHEMES.get(name, name)}{text[len(scheme[1]) :]}"
    if not text.lower().startswith("file:"):
        return os.path.expanduser(text)
    host, path = "", text[len("file:") :]
    if path.startswith("//"):
        host, slash, rest = path[2:].partition("/")
        path = slash + rest
    if host.lower() not in _LOCAL_HOSTS or not path.startswith("/"):
        raise ValueError(f"got {text!r}, expected file:///DIRECTORY/FILE, a path of this machine")
    return unquote(path)

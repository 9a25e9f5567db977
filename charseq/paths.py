"""Paths as users write them."""

from __future__ import annotations

import os
from urllib.parse import unquote

_LOCAL_HOSTS = ("", "localhost")


def expand_path(text: str) -> str:
    """Return a path, or a pattern of paths, without `~` and `file://`.

    `~` and `~user` are home directories where the text begins with them. A file URI (RFC 8089) is
    an absolute path of this machine: `file:///a%20b` is `/a b`. Other schemes stay as they are.

    Raises:
        ValueError: a file URI is of another machine, or not absolute.
    """
    if not text.lower().startswith("file:"):
        return os.path.expanduser(text)
    host, path = "", text[len("file:") :]
    if path.startswith("//"):
        host, slash, rest = path[2:].partition("/")
        path = slash + rest
    if host.lower() not in _LOCAL_HOSTS or not path.startswith("/"):
        raise ValueError(f"got {text!r}, expected file:///DIRECTORY/FILE, a path of this machine")
    return unquote(path)

"""The files that a pattern of `--input` matches, in time linear in the length of each path."""

from __future__ import annotations

import os
import re

import pyarrow as pa
import pyarrow.compute as pc
from apache_beam.io.filesystem import FileSystem
from apache_beam.io.filesystems import FileSystems

from charseq.errors import UsageError

_GLOB = re.compile(r"[*?\[]")
# A byte of a file name that is not UTF-8 is a lone surrogate in Python; RE2 gets a private
# character in its place.
_NO_SURROGATES = {0xDC00 + byte: 0x100000 + byte for byte in range(0x80, 0x100)}


def match_files(pattern: str) -> dict[str, int]:
    """Return path and size in bytes of the file of that very name or, without one, of all matches.

    So `data[1].csv` is the file of that name, if it exists. In a pattern, `*` matches within a
    directory, `**` across directories.

    Raises:
        UsageError: the pattern is no valid one.
    """
    filesystem = FileSystems.get_filesystem(pattern)
    if pattern.endswith("/"):
        pattern += "*"
    if FileSystems.exists(pattern):
        return {pattern: filesystem.metadata(pattern).size_in_bytes}
    if not _GLOB.search(pattern):
        return {}
    pattern = _with_directory(pattern)
    prefix = _GLOB.split(pattern, maxsplit=1)[0]
    files = filesystem._list(os.path.dirname(prefix) if filesystem.has_dirs() else prefix)
    sizes = {file.path: file.size_in_bytes for file in files}
    return {path: sizes[path] for path in _matches(list(sizes), pattern)}


def _with_directory(pattern: str) -> str:
    """Return a pattern of the same files that begins with a directory: `*.csv` is `./*.csv`."""
    if os.path.dirname(_GLOB.split(pattern, maxsplit=1)[0]) or FileSystems.get_scheme(pattern):
        return pattern
    return os.path.join(".", pattern)


def _matches(paths: list[str], pattern: str) -> list[str]:
    """Return the paths that match a pattern.

    Python's regular expressions, with which Beam matches, never end for 40 stars in a pattern: they
    try all ways to share a name among them. RE2 does not.
    """
    # Beam's expression between its flags and its end, which RE2 spells otherwise.
    expression = FileSystem.translate_pattern(pattern)[len("(?ms)") : -len(r"\Z")]
    names = pa.array([path.translate(_NO_SURROGATES) for path in paths], pa.string())
    try:
        matching = pc.match_substring_regex(
            names, rf"(?s)\A(?:{expression.translate(_NO_SURROGATES)})\z"
        )
    except pa.ArrowInvalid as error:
        raise UsageError(f"--input {pattern!r}: not a pattern: {error}") from error
    return [path for path, matches in zip(paths, matching.to_pylist(), strict=True) if matches]

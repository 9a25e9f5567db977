"""The files that `--input` names: files, directories and patterns, on any file system."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import pairwise

import pyarrow as pa
import pyarrow.compute as pc
from apache_beam.io.filesystem import FileMetadata, FileSystem
from apache_beam.io.filesystems import FileSystems

from charseq.errors import UsageError

_GLOB = re.compile(r"[*?\[]")
_MAX_ALTERNATIVES = 1_000
# Names that shells and Spark pass over in patterns: `.a.csv.crc`, `_SUCCESS`, `_temporary`.
_HIDDEN = (".", "_")
# Empty objects that stand for a directory in a bucket, as consoles and Hadoop write them.
_FOLDER_MARKS = ("/", "_$folder$")
# A byte of a file name that is not UTF-8 is a lone surrogate in Python; RE2 gets a private
# character in its place.
_NO_SURROGATES = {0xDC00 + byte: 0x100000 + byte for byte in range(0x80, 0x100)}


@dataclass(frozen=True)
class Matches:
    """Files by path, with their sizes in bytes, and the paths that were passed over."""

    sizes: dict[str, int]
    passed_over: tuple[str, ...] = ()


def match_files(pattern: str) -> Matches:
    """Return the file of that very name or, without one, all below the directory or all matches.

    So `data[1].csv` is the file of that name, if it exists. In a pattern, `*` matches within a
    directory, `**` across directories. What begins with `.` or `_` is passed over, unless the
    pattern names it, as `_*` does; a partition such as `_key=a` is not.

    Raises:
        UsageError: the pattern is no valid one.
    """
    filesystem = FileSystems.get_filesystem(pattern)
    is_directory = pattern.endswith("/") or os.path.isdir(pattern)
    if not is_directory and FileSystems.exists(pattern):
        return Matches({pattern: filesystem.metadata(pattern).size_in_bytes})
    if not _GLOB.search(pattern) or os.path.isdir(pattern):
        return _below(filesystem, pattern)
    if pattern.endswith("/"):
        pattern += "*"
    pattern = _with_directory(pattern)
    prefix = _GLOB.split(pattern, maxsplit=1)[0]
    files = list(filesystem._list(os.path.dirname(prefix) if filesystem.has_dirs() else prefix))
    matching = set(_matches([file.path for file in files], pattern))
    base = os.path.dirname(prefix)
    named = [part for part in pattern[len(base) :].split("/") if part.startswith(_HIDDEN)]
    return _choose((file for file in files if file.path in matching), base, named)


def expand_braces(pattern: str) -> list[str]:
    """Return the patterns that `{a,b}.csv` stands for, as in a shell; itself without braces.

    Raises:
        UsageError: they are too many.
    """
    done: list[str] = []
    todo = [pattern]
    while todo:
        alternatives = _expand_first(todo.pop(0))
        if len(alternatives) == 1:
            done += alternatives
        else:
            todo[:0] = alternatives
        if len(done) + len(todo) > _MAX_ALTERNATIVES:
            raise UsageError(
                f"--input {pattern!r}: stands for more than {_MAX_ALTERNATIVES:,} patterns"
            )
    return done


def _expand_first(pattern: str) -> list[str]:
    """Return the alternatives of the first braces that have a comma between them."""
    for begin, character in enumerate(pattern):
        if character == "{" and (commas := _commas_and_end(pattern, begin)):
            bounds = [begin, *commas]
            head, tail = pattern[:begin], pattern[commas[-1] + 1 :]
            return [f"{head}{pattern[start + 1 : end]}{tail}" for start, end in pairwise(bounds)]
    return [pattern]


def _commas_and_end(pattern: str, begin: int) -> list[int]:
    """Return the places of the commas and of the end of braces; none if it has no commas."""
    depth, found = 0, list[int]()
    for place in range(begin, len(pattern)):
        depth += {"{": 1, "}": -1}.get(pattern[place], 0)
        if depth == 0:
            return [*found, place] if found else []
        if depth == 1 and pattern[place] == ",":
            found.append(place)
    return []


def _below(filesystem: FileSystem, directory: str) -> Matches:
    """Return the files below a directory; none if it is none."""
    base = directory.rstrip("/")
    return _choose(filesystem._list(f"{base}/"), base, ())


def _choose(files: Iterable[FileMetadata], base: str, named: Iterable[str]) -> Matches:
    """Return the files but those to be passed over.

    base: the directory whose own name does not count. named: patterns of hidden names to be taken.
    """
    sizes, passed_over = {}, []
    for file in files:
        path, size = file.path, file.size_in_bytes
        parts = path[len(base) :].split("/")
        is_mark = size == 0 and path.endswith(_FOLDER_MARKS)
        if is_mark or any(_is_hidden(part, named) for part in parts):
            passed_over.append(path)
        else:
            sizes[path] = size
    return Matches(sizes, tuple(passed_over))


def _is_hidden(name: str, named: Iterable[str]) -> bool:
    if not name.startswith(_HIDDEN) or "=" in name or name in (".", ".."):
        return False
    return not any(fnmatchcase(name, pattern) for pattern in named)


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

"""A complete output compared with a command: with its options and its input files."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from charseq.console.messages import shorten_value
from charseq.flags import flag_name
from charseq.manifest import InputFile
from pipeline.runtime.filesystems import is_local

_SHOWN_FILES = 5


def different_options(
    existing: Mapping[str, Any],
    wanted: Mapping[str, Any],
    defaults: Mapping[str, Any],
    limits: Collection[str] = (),
) -> Iterator[str]:
    """Yield a phrase for each option with which an output was made that is not the wanted one.

    Args:
        existing: the options of the output, as its manifest has them.
        wanted: the options that are compared.
        defaults: of options that came after the output was made: they had their default then.
        limits: options that are limits; an output within a limit is within a higher one, too.
    """
    for name, now in wanted.items():
        then = existing.get(name, defaults[name])
        if now < then if name in limits else now != then:
            yield f"{flag_name(name)} {_to_text(then)}, now {_to_text(now)}"


def _to_text(value: object) -> str:
    return "not given" if value is None else shorten_value(str(value))


def different_files(existing: Iterable[InputFile], inputs: Iterable[InputFile]) -> Iterator[str]:
    """Yield a phrase for each input file that differs from those of an output, a few of them.

    Identities of two kinds cannot be compared; then the sizes of the files count.
    """
    then, now = _by_location(existing), _by_location(inputs)
    changed = [
        f"{now[location].path} has changed"
        for location in then.keys() & now.keys()
        if _has_changed(then[location], now[location])
    ]
    added = [f"{now[location].path} is new" for location in now.keys() - then.keys()]
    moved = [
        f"{now[location].path} is of another split"
        for location in then.keys() & now.keys()
        if then[location].split != now[location].split
    ]
    gone = [f"{then[location].path} is not there" for location in then.keys() - now.keys()]
    differences = [*sorted(changed), *sorted(moved), *sorted(added), *sorted(gone)]
    yield from differences[:_SHOWN_FILES]
    if more := len(differences[_SHOWN_FILES:]):
        yield f"and {more:,} more files"


def _has_changed(then: InputFile, now: InputFile) -> bool:
    """Return whether size or identity of a file differ; see `pipeline.rows.identity`."""
    return then.bytes != now.bytes or (_is_comparable(then, now) and then.identity != now.identity)


def _is_comparable(then: InputFile, now: InputFile) -> bool:
    """Return whether both identities are of one kind, which depends on the other inputs, too."""
    kinds = {(file.identity or "").partition(":")[0] for file in (then, now)}
    return len(kinds) == 1


def _by_location(files: Iterable[InputFile]) -> dict[str, InputFile]:
    """Return the files by where they are, however that is spelled."""
    return {
        os.path.abspath(file.path) if is_local(file.path) else file.path: file for file in files
    }

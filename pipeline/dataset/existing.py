"""Whether a complete dataset is the one that a command asks for: its options, its inputs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

from charseq.errors import DataError
from pipeline.dataset.manifest import Manifest
from pipeline.options import Options
from pipeline.runtime.filesystems import is_local

# `input` is compared by the files it matches.
_FREE_OPTIONS = {"input", "output", "overwrite"}
# A dataset within a limit is within a higher one, too.
_LIMITS = {"max_rejected_fraction", "max_labels"}
_SHOWN_FILES = 5


def check_existing_dataset(
    manifest: Manifest, options: Options, inputs: Sequence[Mapping[str, Any]]
) -> None:
    """Look whether a dataset was made with `options` from `inputs`.

    inputs: as `describe_inputs` gives them. Identities of two kinds cannot be compared, sizes can.

    Raises:
        DataError: it was not; the message names the options and the files that differ.
    """
    different = [
        *_different_options(manifest["options"], options),
        *_different_files(manifest["inputs"], inputs),
    ]
    if different:
        raise DataError(
            f"{options.output} already holds a dataset, but not this one: {'; '.join(different)}. "
            "Choose another --output, or replace it with --overwrite"
        )


def _different_options(held: Mapping[str, Any], options: Options) -> Iterator[str]:
    defaults = {field.name: field.default for field in fields(Options)}
    for name, now in options.to_json().items():
        # An option that came after the dataset was made had its default then.
        then = held.get(name, defaults[name])
        differs = now < then if name in _LIMITS else now != then
        if name not in _FREE_OPTIONS and differs:
            yield f"--{name.replace('_', '-')} {_as_flag(then)}, now {_as_flag(now)}"


def _as_flag(value: object) -> str:
    return "not given" if value is None else str(value)


def _different_files(
    held: Sequence[Mapping[str, Any]], inputs: Sequence[Mapping[str, Any]]
) -> Iterator[str]:
    then, now = _by_place(held), _by_place(inputs)
    changed = [
        f"{now[place]['path']} has changed"
        for place in then.keys() & now.keys()
        if _has_changed(then[place], now[place])
    ]
    added = [f"{now[place]['path']} is new" for place in now.keys() - then.keys()]
    gone = [f"{then[place]['path']} is not there" for place in then.keys() - now.keys()]
    found = [*sorted(changed), *sorted(added), *sorted(gone)]
    yield from found[:_SHOWN_FILES]
    if more := len(found[_SHOWN_FILES:]):
        yield f"and {more:,} more files"


def _has_changed(then: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    # Older datasets know no identity, and how one is taken depends on the other inputs, too.
    one, other = then.get("identity", ""), now["identity"]
    comparable = one.partition(":")[0] == other.partition(":")[0]
    return bool(then["bytes"] != now["bytes"] or (comparable and one != other))


def _by_place(files: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """The files by where they are, however that is spelled."""
    return {
        os.path.abspath(file["path"]) if is_local(file["path"]) else file["path"]: file
        for file in files
    }

"""A complete dataset compared with a command: with its options and its input files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from typing import Any

from charseq.errors import DataError
from charseq.flags import flag_name
from charseq.manifest import InputFile, Manifest
from charseq.messages import shorten_value
from charseq.normalization import OPTIONS_OF_EARLIER_DATASETS, Normalization
from pipeline.options import Options
from pipeline.runtime.filesystems import is_local

# `input` is compared by the files it matches.
_NOT_COMPARED = {"input", "overwrite"}
# A dataset within a limit is within a higher one, too.
_LIMITS = {"max_rejected_fraction", "max_labels"}
_SHOWN_FILES = 5


def check_existing_dataset(
    manifest: Manifest, options: Options, inputs: Iterable[InputFile]
) -> None:
    """Check that a dataset was made with `options` from `inputs`.

    Identities of two kinds cannot be compared; then the sizes of the files count.

    Raises:
        DataError: it was not; the message names the options and the files that differ.
    """
    differences = [
        *_different_options(_comparable_options(manifest, options.normalization), options),
        *_different_files(manifest.inputs, inputs),
    ]
    if differences:
        raise DataError(
            f"{options.output} already holds a dataset, but not this one: {'; '.join(differences)}."
            " Choose another --output, or replace it with --overwrite"
        )


def _comparable_options(manifest: Manifest, wanted: Normalization) -> dict[str, Any]:
    """Return the options of a dataset, with those of normalizing even if it is an earlier one's.

    They are left out if its rows show that normalizing as wanted would not have changed them.
    """
    if "normalize" in manifest.options or not _can_change(manifest, wanted):
        return dict(manifest.options)
    return {**OPTIONS_OF_EARLIER_DATASETS, **manifest.options}


def _can_change(manifest: Manifest, wanted: Normalization) -> bool:
    """Return whether normalizing can change what is in a dataset, as far as its manifest shows."""
    alphabet = "".join(manifest.alphabet)
    counts = manifest.counts
    return (
        counts.unknown_characters > 0
        or counts.rejected > counts.rejected_by_reason.get("empty_sequence", 0)
        or not alphabet.isascii()
        or any(wanted.changes(text) for text in (*manifest.alphabet, *manifest.labels))
    )


def _different_options(existing: Mapping[str, Any], options: Options) -> Iterator[str]:
    defaults = {field.name: field.default for field in fields(Options)}
    for name, now in options.to_json().items():
        # An option that came after the dataset was made had its default then.
        then = existing.get(name, defaults[name])
        differs = now < then if name in _LIMITS else now != then
        if name not in _NOT_COMPARED and differs:
            yield f"{flag_name(name)} {_to_text(then)}, now {_to_text(now)}"


def _to_text(value: object) -> str:
    return "not given" if value is None else shorten_value(str(value))


def _different_files(existing: Iterable[InputFile], inputs: Iterable[InputFile]) -> Iterator[str]:
    then, now = _by_location(existing), _by_location(inputs)
    changed = [
        f"{now[location].path} has changed"
        for location in then.keys() & now.keys()
        if _has_changed(then[location], now[location])
    ]
    added = [f"{now[location].path} is new" for location in now.keys() - then.keys()]
    gone = [f"{then[location].path} is not there" for location in then.keys() - now.keys()]
    differences = [*sorted(changed), *sorted(added), *sorted(gone)]
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

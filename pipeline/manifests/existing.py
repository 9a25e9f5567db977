"""A complete dataset compared with a command: with its options and its input files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from charseq.errors import DataError
from charseq.flags import flag_defaults
from charseq.manifest import InputFile, Manifest
from charseq.text.normalization import OPTIONS_OF_EARLIER_DATASETS, Normalization
from pipeline.options import INPUT_FIELDS, Options
from pipeline.output.differences import different_files, different_options

_NOT_COMPARED = {*INPUT_FIELDS, "overwrite"}
# A dataset within a limit is within a higher one, too.
_LIMITS = {"max_rejected_fraction", "max_labels"}


def check_existing_dataset(
    manifest: Manifest, options: Options, inputs: Iterable[InputFile]
) -> None:
    """Check that a dataset was made with `options` from `inputs`.

    Raises:
        DataError: it was not; the message names the options and the files that differ.
    """
    differences = [
        *_different_options(_comparable_options(manifest, options.normalization), options),
        *different_files(manifest.inputs, inputs),
    ]
    if differences:
        raise DataError(
            f"{options.output} already holds a dataset, but not this one: {'; '.join(differences)}."
            " Choose another --output, or replace it with --overwrite"
        )


def check_same_base(manifest: Manifest, options: Options) -> None:
    """Check that a dataset adds its rows to the same datasets as `options` say.

    Raises:
        DataError: it does not.
    """
    wanted = () if options.added_to is None else options.added_to.fingerprints
    if manifest.base != wanted:
        raise DataError(
            f"{options.output} already holds a dataset, but not this one: it adds rows to "
            f"{_describe_base(manifest.base)}, wanted {_describe_base(wanted)}. Choose another "
            "--output, or replace it with --overwrite"
        )


def _describe_base(fingerprints: Sequence[str]) -> str:
    shown = ", ".join(fingerprint[:16] for fingerprint in fingerprints)
    return f"the datasets of fingerprint {shown}" if shown else "no other"


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
    wanted = {name: now for name, now in options.to_json().items() if name not in _NOT_COMPARED}
    return different_options(existing, wanted, flag_defaults(Options), _LIMITS)

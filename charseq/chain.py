"""Chains of datasets: a first one, and those that add rows to the ones before them.

A chain is read as one dataset. A file of it is named by the place of its dataset, as in
`1/train/part-00000-of-00016.tfrecord`; a file without a place is one of the last dataset.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, NamedTuple, TypeVar

from charseq.errors import DataError
from charseq.files import sha256_of_json
from charseq.folds import count_folds
from charseq.manifest import SPLITS, Manifest, RowCounts, Shard

Number = TypeVar("Number", int, float)

# What all datasets of a chain have in common, besides the labels of those before.
_COMMON = (
    "encoding",
    "compression",
    "max_length",
    "alphabet_size",
    "alphabet",
    "padding_id",
    "unknown_id",
    "feature_spec",
    "normalization",
)
_SHOWN = 16


class Named(NamedTuple):
    """A manifest and the directory of its dataset, for messages."""

    directory: str
    manifest: Manifest


def place_name(place: int, name: str) -> str:
    """Return the name in a chain of a file of its dataset `place`."""
    return f"{place}/{name}"


def split_name(name: str) -> tuple[int, str]:
    """Return the place of a file's dataset in a chain, -1 for the last, and its name there."""
    place, _, rest = name.partition("/")
    return (int(place), rest) if place.isdecimal() else (-1, name)


def order_chain(datasets: Sequence[Named]) -> list[int]:
    """Return the numbers of one or more datasets in the order of their chain.

    Raises:
        DataError: they are not one chain, whole and without repetition, or do not fit each other.
    """
    _check_distinct(datasets)
    _check_whole(datasets)
    order = sorted(range(len(datasets)), key=lambda number: len(datasets[number].manifest.base))
    chain = [datasets[number] for number in order]
    for place, (before, after) in enumerate(pairwise(chain), 1):
        if after.manifest.base != _fingerprints(chain[:place]):
            raise DataError(
                f"{before.directory} and {after.directory} are not of one chain: neither adds "
                "rows to the other; give a first dataset and those that were added to it, one "
                "after the other"
            )
        _check_fits(before, after)
    for directory, manifest in datasets:
        if count_folds(manifest):
            raise DataError(f"{directory} has folds: it cannot be read together with others")
    return order


def _check_distinct(datasets: Iterable[Named]) -> None:
    found: dict[str, str] = {}
    for directory, manifest in datasets:
        other = found.setdefault(manifest.fingerprint, directory)
        if other is not directory:
            raise DataError(
                f"{other} and {directory} are the same dataset, of fingerprint "
                f"{manifest.fingerprint[:_SHOWN]}: give it once"
            )


def _check_whole(datasets: Sequence[Named]) -> None:
    given = set(_fingerprints(datasets))
    for directory, manifest in datasets:
        for fingerprint in manifest.base:
            if fingerprint not in given:
                raise DataError(
                    f"{directory} adds rows to the dataset of fingerprint {fingerprint[:_SHOWN]}, "
                    "which is not given: give its directory, too"
                )


def _check_fits(before: Named, after: Named) -> None:
    for name in _COMMON:
        expected, got = (getattr(each.manifest, name) for each in (before, after))
        if got != expected:
            raise DataError(
                f"{after.directory} is of another {name.replace('_', ' ')} than "
                f"{before.directory}, to which it adds rows: prepare it again"
            )
    labels = before.manifest.labels
    if after.manifest.labels[: len(labels)] != labels:
        raise DataError(
            f"the labels of {after.directory} do not begin with those of {before.directory}, to "
            "which it adds rows: prepare it again"
        )


def _fingerprints(datasets: Iterable[Named]) -> tuple[str, ...]:
    return tuple(dataset.manifest.fingerprint for dataset in datasets)


def fingerprint_of(fingerprints: Sequence[str]) -> str:
    """Return the fingerprint of a chain from those of its datasets, in order."""
    return sha256_of_json({"chain": list(fingerprints)})


def alone_note(directory: str, manifest: Manifest) -> str | None:
    """Return a sentence for users if a dataset that adds rows to others is read without them."""
    if not manifest.base:
        return None
    number = len(manifest.base)
    others = "1 other dataset, which is" if number == 1 else f"{number} other datasets, which are"
    return f"{directory} adds rows to {others} not read: name each with --data to read all rows"


def merge(manifests: Sequence[Manifest]) -> Manifest:
    """Return the manifest of a chain, as if one preparation had written all of it.

    Args:
        manifests: in the order of the chain. The last one's labels, options, versions and files
            are the chain's.
    """
    last = manifests[-1]
    weights = [manifest.label_weights for manifest in manifests]
    characters = [manifest.character_counts for manifest in manifests]
    merged = replace(
        last,
        format_version=max(manifest.format_version for manifest in manifests),
        fingerprint=fingerprint_of([manifest.fingerprint for manifest in manifests]),
        counts=_add_counts([manifest.counts for manifest in manifests]),
        length_histogram=_add_nested(manifest.length_histogram for manifest in manifests),
        label_counts=_add_nested(manifest.label_counts for manifest in manifests),
        label_weights=_add_nested_if_all(weights),
        character_counts=_add_nested_if_all(characters),
        shards=tuple(_merge_shards(manifests)),
        inputs=tuple(file for manifest in manifests for file in manifest.inputs),
        notes=tuple(dict.fromkeys(note for manifest in manifests for note in manifest.notes)),
        strata=None,
        similar=None,
        base=(),
    )
    return merged.sealed(last.files)


def _merge_shards(manifests: Sequence[Manifest]) -> Iterator[Shard]:
    """Yield the shards of each split; those of each dataset are spread evenly.

    So the first shards are a fair sample of all rows, as they are in one dataset.
    """
    for split in SPLITS:
        placed = []
        for place, manifest in enumerate(manifests):
            shards = [shard for shard in manifest.shards if shard.split == split]
            for number, shard in enumerate(shards):
                named = replace(shard, path=place_name(place, shard.path))
                placed.append(((number + 0.5) / len(shards), place, named))
        yield from (shard for *_, shard in sorted(placed, key=lambda each: each[:2]))


def _add_counts(counts: Sequence[RowCounts]) -> RowCounts:
    of_rows = ("read", *SPLITS, "duplicates", "rejected", "truncated", "ambiguous")
    names = (*of_rows, "unknown_characters")
    summed: dict[str, Any] = {name: sum(getattr(each, name) for each in counts) for name in names}
    leaks = [each.leaks for each in counts if each.leaks is not None]
    return RowCounts(
        **summed,
        rejected_by_reason=_add(each.rejected_by_reason for each in counts),
        normalized=_add_nested_if_all([each.normalized for each in counts]),
        leaks=_add(leaks) if leaks else None,
    )


def _add(sums: Iterable[Mapping[str, Number]]) -> dict[str, Number]:
    added: dict[str, Number] = {}
    for each in sums:
        for key, value in each.items():
            added[key] = added[key] + value if key in added else value
    return added


def _add_nested(sums: Iterable[Mapping[str, Mapping[str, Number]]]) -> dict[str, dict[str, Number]]:
    added: dict[str, dict[str, Number]] = {}
    for each in sums:
        for key, values in each.items():
            added[key] = _add([added.get(key, {}), values])
    return added


def _add_nested_if_all(
    sums: Sequence[Mapping[str, Mapping[str, Number]] | None],
) -> dict[str, dict[str, Number]] | None:
    """Return the sums of all; None if one is not known."""
    known = [each for each in sums if each is not None]
    return _add_nested(known) if len(known) == len(sums) else None

"""Folds: a dataset whose rows are in so many parts, each of which can be the test split.

A fold is a view of the dataset: nothing is written twice. With fold I, part I is the test split,
part I + 1 (or the first after the last) the validation split, and all others are the train split.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from charseq.errors import DataError
from charseq.manifest import SPLITS, Manifest

Number = TypeVar("Number", int, float)

_PREFIX = "fold-"


def fold_names(folds: int) -> tuple[str, ...]:
    """Return the names of the parts, in order, as they are in `dataset.json` and in paths."""
    return tuple(f"{_PREFIX}{number}" for number in range(folds))


def count_folds(manifest: Manifest) -> int:
    """Return the number of parts of a dataset; 0 for one with splits."""
    return int(manifest.options.get("folds") or 0)


def records_of_parts(manifest: Manifest) -> dict[str, int]:
    """Return the number of records of each split, or of each fold."""
    folds = count_folds(manifest)
    names = fold_names(folds) if folds else SPLITS
    return {name: manifest.records(name) for name in names}


def roles(folds: int, fold: int) -> dict[str, str]:
    """Return the split that each part is for a fold."""
    names = fold_names(folds)
    special = {names[fold]: "test", names[(fold + 1) % folds]: "validation"}
    return {name: special.get(name, "train") for name in names}


def view_fold(manifest: Manifest, fold: int | None, directory: str) -> Manifest:
    """Return a manifest as one with the splits of a fold.

    Args:
        manifest: of the dataset.
        fold: which one; None for a dataset that has none.
        directory: of the dataset, for messages.

    Raises:
        DataError: the dataset has no such fold, or has folds and none is named.
    """
    folds = count_folds(manifest)
    if not folds:
        if fold is not None:
            raise DataError(f"{directory} has no folds: it was prepared without --folds")
        return manifest
    if fold is None or fold >= folds:
        got = "no --fold was given" if fold is None else f"--fold {fold} was given"
        raise DataError(
            f"{directory} has {folds} folds, and {got}: say which one is the test split, 0 to "
            f"{folds - 1}"
        )
    split_of = roles(folds, fold)
    shards = [replace(shard, split=split_of[shard.split]) for shard in manifest.shards]
    train, validation, test = (
        sum(shard.records for shard in shards if shard.split == split) for split in SPLITS
    )
    return replace(
        manifest,
        shards=tuple(sorted(shards, key=lambda shard: SPLITS.index(shard.split))),
        counts=replace(manifest.counts, train=train, validation=validation, test=test),
        length_histogram=_merge(manifest.length_histogram, split_of),
        label_counts=_merge(manifest.label_counts, split_of),
        label_weights=manifest.label_weights and _merge(manifest.label_weights, split_of),
        character_counts=manifest.character_counts and _merge(manifest.character_counts, split_of),
    )


def _merge(
    sums: Mapping[str, Mapping[str, Number]], split_of: Mapping[str, str]
) -> dict[str, dict[str, Number]]:
    """Return sums by part as sums by split."""
    merged: dict[str, dict[str, Number]] = {split: {} for split in SPLITS}
    for name, of_part in sums.items():
        of_split = merged[split_of[name]]
        for key, value in of_part.items():
            of_split[key] = of_split[key] + value if key in of_split else value
    return merged

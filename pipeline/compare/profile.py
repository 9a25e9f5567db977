"""What rows are like: their labels, lengths and characters, counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from charseq.errors import DataError
from charseq.manifest import OUTSIDE, Manifest

ALL = "all"  # of the splits

Key = TypeVar("Key")


@dataclass(frozen=True)
class Profile:
    """Counts of rows that can be used.

    rows: how many there are. labels: rows by label; None where labels are not read. lengths: rows
    by length in characters, as they are cut. characters: how often each occurs, those outside an
    alphabet under OUTSIDE if they are not told apart; None if they were not counted. duplicates:
    the share of the rows that repeat another; None if it is not known. rejected: the share of all
    rows that cannot be used.
    """

    rows: int
    labels: Mapping[str, int] | None
    lengths: Mapping[int, int]
    characters: Mapping[str, int] | None
    duplicates: float | None
    rejected: float

    def characters_in(self, alphabet: Iterable[str]) -> dict[str, int] | None:
        """Return the counts of the characters of an alphabet, and under OUTSIDE of all others."""
        if self.characters is None:
            return None
        known = {c: self.characters[c] for c in alphabet if c in self.characters}
        outside = sum(self.characters.values()) - sum(known.values())
        return {**known, OUTSIDE: outside} if outside else known


class Named(NamedTuple):
    """A profile, and what it is of, in words for users."""

    name: str
    profile: Profile


def profile_of_dataset(manifest: Manifest, split: str | None, directory: str) -> Named:
    """Return the profile of a split; duplicates and rejected rows are those of the whole dataset.

    Args:
        manifest: of the dataset.
        split: its name, or ALL; None for train, or for all parts of a dataset with folds.
        directory: how users know the dataset.

    Raises:
        DataError: there is no row in the split.
    """
    parts = manifest.label_counts
    if split is None:
        split = "train" if "train" in parts else ALL
    chosen = [name for name in parts if split in (ALL, name)]
    labels = _add(parts[name] for name in chosen)
    if not labels:
        raise DataError(
            f"{directory}: no row in the split {split}, of {', '.join(parts)}; --split {ALL} takes "
            "all of them"
        )
    counts, characters = manifest.counts, manifest.character_counts
    lengths = _add(manifest.length_histogram[name] for name in chosen)
    profile = Profile(
        rows=sum(labels.values()),
        labels=labels,
        lengths={int(length): of_length for length, of_length in lengths.items()},
        characters=None if characters is None else _add(characters[name] for name in chosen),
        duplicates=counts.duplicates / (counts.read - counts.rejected),
        rejected=counts.rejected / counts.read,
    )
    return Named(f"{directory} ({split})", profile)


def _add(counts: Iterable[Mapping[Key, int]]) -> dict[Key, int]:
    total: Counter[Key] = Counter()
    for summand in counts:
        total.update(summand)
    return dict(total)

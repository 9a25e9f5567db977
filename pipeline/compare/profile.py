"""What rows are like: their labels, lengths and characters, counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from charseq.errors import DataError
from charseq.files import damage_as_data_error
from charseq.manifest import OUTSIDE, Manifest

ALL = "all"  # of the splits
# Options of a preparation in which some splits keep their duplicates, and count none.
_GIVEN_SPLITS = ("split_column", "train_input", "time_column")

Key = TypeVar("Key")


@dataclass(frozen=True)
class Profile:
    """Counts of rows that can be used.

    rows: how many there are. labels: rows by label; None where labels are not read. lengths: rows
    by length in characters, as they are cut. characters: how often each occurs, those outside an
    alphabet under OUTSIDE if they are not told apart; None if they were not counted. duplicates:
    the share of the rows that repeat another; None if it is not known. rejected: rows that cannot
    be used, by reason, beside `read_with` rows in all.
    """

    rows: int
    labels: Mapping[str, int] | None
    lengths: Mapping[int, int]
    characters: Mapping[str, int] | None
    duplicates: float | None
    rejected: Mapping[str, int]
    read_with: int

    def characters_in(self, alphabet: Iterable[str]) -> dict[str, int] | None:
        """Return the counts of the characters of an alphabet, and under OUTSIDE of all others."""
        if self.characters is None:
            return None
        known = {c: self.characters[c] for c in alphabet if c in self.characters}
        outside = sum(self.characters.values()) - sum(known.values())
        return {**known, OUTSIDE: outside} if outside else known

    def share_rejected(self, reasons: Iterable[str]) -> float:
        """Return the share of rows that are rejected for these reasons, of all but other ones."""
        counted = sum(self.rejected.get(reason, 0) for reason in reasons)
        return counted / (self.read_with - sum(self.rejected.values()) + counted)


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
        DataError: there is no row in the split, or the manifest is damaged.
    """
    with damage_as_data_error(directory, "the counts of a dataset"):
        parts = manifest.label_counts
        if split is None:
            split = "train" if "train" in parts else ALL
        chosen = [name for name in parts if split in (ALL, name)]
        labels = _add(parts[name] for name in chosen)
        if not labels:
            raise DataError(
                f"{directory}: no row in the split {split}, of {', '.join(parts)}; --split {ALL} "
                "takes all of them"
            )
        counts, characters = manifest.counts, manifest.character_counts
        lengths = _add(manifest.length_histogram[name] for name in chosen)
        are_given = any(manifest.options.get(name) for name in _GIVEN_SPLITS)
        usable = counts.read - counts.rejected
        profile = Profile(
            rows=sum(labels.values()),
            labels=labels,
            lengths={_check_length(length, manifest): rows for length, rows in lengths.items()},
            characters=None if characters is None else _add(characters[name] for name in chosen),
            duplicates=None if are_given else counts.duplicates / max(usable, 1),
            rejected=_add([counts.rejected_by_reason]),
            read_with=counts.read,
        )
        if not profile.lengths or profile.characters == {} or usable <= 0:
            raise ValueError("there are labels, but no lengths, characters or usable rows")
    return Named(f"{directory} ({split})", profile)


def _check_length(text: str, manifest: Manifest) -> int:
    length = int(text)
    if not 0 < length <= manifest.max_length:
        raise ValueError(f"a length of {length}, of at most {manifest.max_length}")
    return length


def _add(counts: Iterable[Mapping[Key, int]]) -> dict[Key, int]:
    """Return the sums of counts that are above 0."""
    total: Counter[Key] = Counter()
    for summand in counts:
        total.update(summand)
    if any(value <= 0 for value in total.values()):
        raise ValueError("a count that is not above 0")
    return dict(total)

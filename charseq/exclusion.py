"""A dataset without the rows of some sequences, as if they had not been prepared: a view of it.

The index of each shard tells which records have these sequences, and under which label.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from charseq.errors import DataError
from charseq.manifest import SPLITS, Manifest, Shard
from charseq.text.hashing import Hashes, hash_pairs
from charseq.text.normalization import BLANKS
from charseq.text.sequences import cut, normalize

Positions = npt.NDArray[np.int64]


class ExclusionFile(NamedTuple):
    """A file of sequences to leave out: its SHA-256, and its lines that are not blank."""

    sha256: str
    texts: tuple[str, ...]


class Records(NamedTuple):
    """Records of a shard that are left out.

    positions: in the shard, ascending, (k,) int64. sequences: their texts. labels: their labels.
    """

    positions: Positions
    sequences: tuple[str, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Excluded:
    """What was left out of a dataset.

    sha256: of the file of sequences. positions: by the path of a shard, where it has any.
    sequences: of the file that have a row. absent: those that have none.
    """

    sha256: str
    positions: Mapping[str, Positions]
    sequences: int
    absent: int

    @property
    def rows(self) -> int:
        """The number of rows that were left out."""
        return sum(map(len, self.positions.values()))

    def is_kept(self, shard: Shard) -> npt.NDArray[np.bool_]:
        """Return which records of a shard's file are not left out: (records of the file,) bool."""
        positions = self.positions.get(shard.path, np.zeros(0, np.int64))
        kept = np.ones(shard.records + len(positions), np.bool_)
        kept[positions] = False
        return kept

    def to_json(self) -> dict[str, str | int]:
        """Return what `run.json` holds of it."""
        return {"sha256": self.sha256, "rows": self.rows, "sequences": self.sequences}

    def describe(self) -> str:
        """Return one line for users."""
        line = f"excluded {_count(self.rows, 'row')} of {_count(self.sequences, 'sequence')}"
        if not self.absent:
            return line
        verb = "has" if self.absent == 1 else "have"
        return f"{line} ({_count(self.absent, 'sequence')} of the file {verb} no row)"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def read_exclusion_file(path: str) -> ExclusionFile:
    """Read a file of sequences, one a line.

    Raises:
        DataError: it cannot be read, or is not UTF-8.
    """
    try:
        with open(path, "rb") as file:
            content = file.read()
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"--exclude {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(f"--exclude {path}: line {line:,} is not UTF-8") from error
    lines = (line.removesuffix("\r") for line in text.split("\n"))
    kept = tuple(line for line in lines if line.strip(BLANKS))
    return ExclusionFile(hashlib.sha256(content).hexdigest(), kept)


def prepared_sequences(texts: Sequence[str], manifest: Manifest) -> tuple[str, ...]:
    """Return the distinct sequences that a preparation makes of texts that are not blank.

    Where it rejects longer ones than records hold, these stay as they are: no record has them.
    """
    sequences = normalize(texts, manifest.normalization)
    if manifest.options.get("too_long") != "reject":
        sequences = cut(sequences, manifest.max_length, manifest.normalization)
    return tuple(dict.fromkeys(sequences))


def find_records(
    index: Hashes, sequences: Mapping[int, str], labels: Iterable[str], seed: int
) -> Records:
    """Return the records of a shard that have one of some sequences, under any label.

    Args:
        index: of the shard, (records, 2) uint64; see `charseq.manifest.index_path`.
        sequences: as records hold them, by their hashes.
        labels: of the dataset.
        seed: of the hash.

    Raises:
        ValueError: a record has none of the labels.
    """
    positions = np.flatnonzero(np.isin(index[:, 0], np.array(list(sequences), np.uint64)))
    found = index[positions]
    return Records(
        positions,
        tuple(sequences[value] for value in found[:, 0].tolist()),
        tuple(_find_labels(found, labels, seed)),
    )


def _find_labels(found: Hashes, labels: Iterable[str], seed: int) -> Iterator[str]:
    """Yield the label of each of k records with the hashes (k, 2) uint64.

    Raises:
        ValueError: as `find_records`.
    """
    if not len(found):
        return
    names = tuple(labels)
    place = np.full(len(found), -1, np.int64)
    for number, name in enumerate(names):
        place[hash_pairs(found[:, 0], name, seed) == found[:, 1]] = number
    if (place < 0).any():
        raise ValueError("a record has none of the labels of the dataset")
    yield from (names[number] for number in place.tolist())


def view_without(manifest: Manifest, records: Mapping[str, Records], directory: str) -> Manifest:
    """Return a manifest as one of a dataset without some records.

    How many of the rows that were read were cut, duplicate, rejected or ambiguous stays as it was.

    Args:
        manifest: of the dataset.
        records: that are left out, by the path of their shard.
        directory: of the dataset, for messages.

    Raises:
        DataError: a split has no other rows.
    """
    labels: dict[str, Counter[str]] = {shard.split: Counter() for shard in manifest.shards}
    lengths: dict[str, Counter[str]] = {split: Counter() for split in labels}
    unknown, alphabet = 0, set(manifest.alphabet)
    shards = []
    for shard in manifest.shards:
        removed = records.get(shard.path, Records(np.zeros(0, np.int64), (), ()))
        labels[shard.split].update(removed.labels)
        lengths[shard.split].update(str(len(sequence)) for sequence in removed.sequences)
        unknown += sum(char not in alphabet for text in removed.sequences for char in text)
        shards.append(replace(shard, records=shard.records - len(removed.positions)))
    reduced = {split: counts.total() for split, counts in labels.items()}
    view = replace(
        manifest,
        shards=tuple(shards),
        counts=replace(
            manifest.counts,
            read=manifest.counts.read - sum(reduced.values()),
            unknown_characters=manifest.counts.unknown_characters - unknown,
            **_counts_without(manifest, reduced),
        ),
        label_counts=_subtract(manifest.label_counts, labels),
        length_histogram=_subtract(manifest.length_histogram, lengths),
        character_counts=None,
    )
    for split, rows in reduced.items():
        if rows and not view.records(split):
            raise DataError(f"--exclude leaves {directory} without a row in its split {split!r}")
    return view


def _counts_without(manifest: Manifest, reduced: Mapping[str, int]) -> dict[str, Any]:
    """Return the rows of each split; the rows of folds count as train rows."""
    counts: dict[str, Any] = {split: getattr(manifest.counts, split) for split in SPLITS}
    for split, rows in reduced.items():
        counts[split if split in counts else "train"] -= rows
    return counts


def _subtract(
    sums: Mapping[str, Mapping[str, int]], removed: Mapping[str, Mapping[str, int]]
) -> dict[str, dict[str, int]]:
    """Return sums by split without others; those of 0 are left out."""
    return {
        split: {
            key: value - less
            for key, value in of_split.items()
            if value > (less := removed.get(split, {}).get(key, 0))
        }
        for split, of_split in sums.items()
    }

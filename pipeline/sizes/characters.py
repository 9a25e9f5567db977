"""How often each character occurs, and the size of an alphabet that covers most of them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Ints = npt.NDArray[np.int64]

COVERED = Fraction(9_999, 10_000)


def _none() -> Ints:
    return np.zeros(0, np.int64)


@dataclass(frozen=True)
class CharacterCounts:
    """How often each of k characters occurs.

    code_point: (k,) int64, ascending. occurrences: (k,) int64, all above 0.
    """

    code_point: Ints = field(default_factory=_none)
    occurrences: Ints = field(default_factory=_none)

    @property
    def total(self) -> int:
        """The number of all characters."""
        return int(self.occurrences.sum())

    def total_of(self, alphabet: Iterable[str]) -> int:
        """Return the number of those characters that are in an alphabet."""
        known = np.isin(self.code_point, [ord(character) for character in alphabet])
        return int(self.occurrences[known].sum())


def count_characters(sequence: pa.LargeBinaryArray) -> CharacterCounts:
    """Return the counts of all characters of (n,) UTF-8 without nulls."""
    if len(sequence) == 0:
        return CharacterCounts()
    _, offsets, data = sequence.buffers()
    ends = np.frombuffer(offsets, np.int64)[sequence.offset :][: len(sequence) + 1]
    text = np.frombuffer(data or b"", np.uint8)[ends[0] : ends[-1]]
    counts = _count_ascii(text) if text.max(initial=0) < 128 else _count_unicode(text)
    code_point = np.flatnonzero(counts)
    return CharacterCounts(code_point, counts[code_point])


def _count_ascii(text: npt.NDArray[np.uint8]) -> Ints:
    """Return how often each byte occurs, (256,), counted two at a time."""
    pairs = text[: len(text) // 2 * 2].view(np.uint16)
    both = np.bincount(pairs, minlength=256 * 256).reshape(256, 256)
    counts: Ints = both.sum(axis=0) + both.sum(axis=1)
    counts[text[len(pairs) * 2 :]] += 1
    return counts


def _count_unicode(text: npt.NDArray[np.uint8]) -> Ints:
    code_points = np.frombuffer(text.tobytes().decode("utf-8").encode("utf-32-le"), np.uint32)
    return np.bincount(code_points)


def add_character_counts(counts: Iterable[CharacterCounts]) -> CharacterCounts:
    """Return the sum of the counts."""
    summands = [CharacterCounts(), *counts]
    code_point, place = np.unique(
        np.concatenate([summand.code_point for summand in summands]), return_inverse=True
    )
    occurrences = np.zeros(len(code_point), np.int64)
    np.add.at(occurrences, place, np.concatenate([summand.occurrences for summand in summands]))
    return CharacterCounts(code_point, occurrences)


def choose_alphabet_size(counts: CharacterCounts, most: int) -> int:
    """Return the least number of characters that make up `COVERED` of all, 1 to `most`."""
    covered = np.cumsum(np.sort(counts.occurrences)[::-1])
    needed = math.ceil(COVERED * counts.total)
    return min(int(np.searchsorted(covered, needed)) + 1, most)

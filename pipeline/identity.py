"""What a wanted identity asks of two sequences, by the length of the longer one.

Identity is 1 - edit distance / length of the longer sequence (Levenshtein 1966).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

# A sequence of at most so many deletion variants is found by those, a longer one by its q-grams.
_MAX_VARIANTS = 128
# A sequence is found by so many of its q-grams at most, those of the least hashes.
MAX_GRAMS = 64
_MAX_GRAM_LENGTH = 16
# The share of the pairs of exactly the wanted identity that the length of q-grams may miss.
_MAX_MISSED = 0.01
# The keys of sequences are joined in so many ranges of hashes, as a power of two.
MIN_RANGE_BITS, _MAX_RANGE_BITS = 2, 16
# Fewer ranges have fewer copies of a text, which is in each range where it has a key.
# What the keys of a sequence take with its text, in bytes of the input; and the bytes of a range.
_BYTES_PER_BYTE, _BYTES_PER_RANGE = 32, 1 << 29
# Longer sequences have longer runs without an edit: what suits this length suits them.
_LONG = 128


@dataclass(frozen=True)
class Identity:
    """A wanted identity in (0, 1], and the number of positions that sequences are cut at."""

    threshold: Fraction
    positions: int

    def edits(self, length: int) -> int:
        """Return the most edits between a sequence of `length` and one that is not longer."""
        return math.floor((1 - self.threshold) * length)

    def shortest(self, length: int) -> int:
        """Return the length of the shortest sequence that may be like one of `length`."""
        return length - self.edits(length)

    def has_variants(self, length: int) -> bool:
        """Return whether sequences of `length` are found by all their deletion variants."""
        if length > _MAX_VARIANTS:
            return self.edits(length) == 0
        variants = sum(math.comb(length, deleted) for deleted in range(self.edits(length) + 1))
        return variants <= _MAX_VARIANTS

    def longest(self, length: int) -> int:
        """Return the length of the longest sequence that may be like one of `length`."""
        longest = min(math.floor(length / self.threshold) + 1, self.positions)
        return longest if self.shortest(longest) <= length else longest - 1


def choose_range_bits(input_bytes: int) -> int:
    """Return how many ranges of hashes an input of that size needs, as a power of two."""
    ranges = max(1, math.ceil(input_bytes * _BYTES_PER_BYTE / _BYTES_PER_RANGE))
    return min(max(MIN_RANGE_BITS, (ranges - 1).bit_length()), _MAX_RANGE_BITS)


@cache
def gram_lengths(identity: Identity, length: int) -> tuple[int, ...]:
    """Return the lengths of the q-grams of a sequence, ascending.

    They are those of all longer sequences that it may be like, and that have no variants.
    """
    longest = identity.longest(length)
    lengths = {
        _gram_length(identity, longer)
        for longer in range(length, min(longest, _LONG) + 1)
        if not identity.has_variants(longer)
    }
    if longest > _LONG and not identity.has_variants(longest):
        lengths.add(_gram_length(identity, _LONG))
    return tuple(sorted(lengths))


@cache
def _gram_length(identity: Identity, length: int) -> int:
    """Return how long q-grams may be so that hardly any pair of sequences shares none.

    Args:
        identity: what is wanted.
        length: of the longer sequence of a pair.
    """
    edits = identity.edits(length)
    longest = 1
    for gram in range(2, min(length, _MAX_GRAM_LENGTH) + 1):
        if _missed(length, edits, gram) > _MAX_MISSED:
            break
        if length - gram >= MAX_GRAMS and _missed_by_sample(identity, gram) > _MAX_MISSED:
            break
        longest = gram
    return longest


def _missed(length: int, edits: int, gram: int) -> float:
    """Return the share of the ways to place edits that leave no `gram` positions in a row whole.

    The edits cut the other positions into runs; those ways are counted in which no run is that long
    (inclusion and exclusion over the runs that are).
    """
    runs, whole = edits + 1, length - edits
    ways = sum(
        (-1) ** long * math.comb(runs, long) * math.comb(whole - long * gram + edits, edits)
        for long in range(min(runs, whole // gram) + 1)
    )
    return float(Fraction(ways, math.comb(length, edits)))


def _missed_by_sample(identity: Identity, gram: int) -> float:
    """Return the chance that sequences with many q-grams share none of the `MAX_GRAMS` least.

    Of q-grams, threshold ** gram remain; the least hash of the union of both sequences is shared
    with the chance of their resemblance (Broder 1997).
    """
    remaining = math.pow(identity.threshold, gram)
    return math.pow(1 - remaining / (2 - remaining), MAX_GRAMS)

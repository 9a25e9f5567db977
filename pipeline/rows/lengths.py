"""Counts of sequence lengths before the cut, few of them however long the longest sequence is."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from fractions import Fraction
from itertools import accumulate
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.options import MAX_AUTO_LENGTH

_LEAST_EXACT = 64
_BINS_TO_CUT = 40
_LEFT_WHOLE = Fraction(99, 100)


def last_exact(max_length: int) -> int:
    """Return the greatest length that has a bin of `bin_lengths` like those before it."""
    return max(2 * max_length, _LEAST_EXACT)


def _last_counted(max_length: int) -> int:
    """Return the greatest length that is counted by itself: at least `MAX_AUTO_LENGTH`.

    It is `last_exact`, doubled some times, so that what is counted together is in one bin.
    """
    last = last_exact(max_length)
    while last < MAX_AUTO_LENGTH:
        last *= 2
    return last


def count_lengths(length: npt.NDArray[np.integer], max_length: int) -> Counter[int]:
    """Return how many of the (n,) lengths there are, by length.

    Those beyond `MAX_AUTO_LENGTH`, and beyond twice `max_length`, are counted in bins, each under
    the greatest length it holds, which is twice that of the bin before.
    """
    folded = length.astype(np.int64)
    exact = _last_counted(max_length)
    beyond = folded > exact
    doublings = np.ceil(np.log2(folded[beyond] / exact)).astype(np.int64)
    folded[beyond] = exact << doublings
    values, counts = np.unique(folded, return_counts=True)
    return Counter(dict(zip(values.tolist(), counts.tolist(), strict=True)))


def add_lengths(counts: Iterable[Mapping[int, int]]) -> Counter[int]:
    """Return the sum of several counts of `count_lengths`."""
    total: Counter[int] = Counter()
    for summand in counts:
        total.update(summand)
    return total


def length_quantile(lengths: Mapping[int, int], share: Fraction) -> int:
    """Return the least length that at least `share` of the sequences do not exceed.

    Args:
        lengths: the number of sequences by length, at least one.
        share: above 0, at most 1.
    """
    ordered = sorted(lengths)
    reached = list(accumulate(lengths[length] for length in ordered))
    return ordered[bisect_left(reached, math.ceil(share * reached[-1]))]


def choose_max_length(lengths: Mapping[int, int]) -> int:
    """Return the least length that leaves `_LEFT_WHOLE` of the rows whole, 1 to `MAX_AUTO_LENGTH`.

    Args:
        lengths: the number of rows by length, see `count_lengths`.
    """
    return min(length_quantile(lengths, _LEFT_WHOLE), MAX_AUTO_LENGTH) if lengths else 1


class LengthBin(NamedTuple):
    """The number of rows whose sequence has `first` to `last` characters."""

    first: int
    last: int
    rows: int


def bin_lengths(lengths: Mapping[int, int], max_length: int) -> list[LengthBin]:
    """Return the counts of `count_lengths` in some dozens of bins of equal width, for a chart.

    The bins reach to the longest sequence, and to `max_length` where that is not far beyond; one
    bin ends at `max_length`, so that either all or none of its rows are cut. Empty bins are kept.
    Beyond `last_exact` each bin ends at twice the end of the one before.
    """
    longest = max(lengths, default=1)
    reach = max_length if 3 * longest >= max_length else longest
    width = -(-reach // _BINS_TO_CUT)
    exact = last_exact(max_length)
    ends = [*range(reach % width or width, exact, width), exact]
    while ends[-1] < longest:
        ends.append(2 * ends[-1])
    ends = ends[: bisect_left(ends, max(reach, longest)) + 1]
    counts = [0] * len(ends)
    for length, count in lengths.items():
        counts[bisect_left(ends, length)] += count
    starts = [1, *(end + 1 for end in ends)]
    return [LengthBin(*columns) for columns in zip(starts, ends, counts, strict=False)]

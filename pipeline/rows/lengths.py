"""Counts of sequence lengths before the cut, few of them however long the longest sequence is."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

_LEAST_EXACT = 64
_BINS_TO_CUT = 40


def last_exact(max_length: int) -> int:
    """Return the greatest length that is counted by itself."""
    return max(2 * max_length, _LEAST_EXACT)


def count_lengths(length: npt.NDArray[np.integer], max_length: int) -> Counter[int]:
    """Return how many of the (n,) lengths there are, by length.

    Beyond `last_exact` they are counted in bins, each under the greatest length it holds: the
    first bin ends at twice `last_exact`, and every next one at twice the end of the one before.
    """
    folded = length.astype(np.int64)
    exact = last_exact(max_length)
    beyond = folded > exact
    doublings = np.ceil(np.log2(folded[beyond] / exact)).astype(np.int64)
    folded[beyond] = exact << doublings
    values, counts = np.unique(folded, return_counts=True)
    return Counter(dict(zip(values.tolist(), counts.tolist(), strict=True)))


class LengthBin(NamedTuple):
    """The number of rows whose sequence has `first` to `last` characters."""

    first: int
    last: int
    rows: int


def bin_lengths(lengths: Mapping[int, int], max_length: int) -> list[LengthBin]:
    """Return the counts of `count_lengths` in some dozens of bins of equal width, for a chart.

    The bins reach to the longest sequence, and to `max_length` where that is not far beyond; one
    bin ends at `max_length`, so that either all or none of its rows are cut. Empty bins are kept.
    Lengths beyond `last_exact` stay in the bins of `count_lengths`.
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

"""Counts of batches, added up."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.rows.counts import MIN_SEQUENCES, ReadCounts, add_counts, some_sequences
from pipeline.rows.rejected import RejectedRow, choose_examples

pytestmark = pytest.mark.unit


def test_examples_hold_what_is_shown_of_them() -> None:
    rows = [RejectedRow(0, n, "too_long", "A" * 100) for n in (3, 1, 2, 0)]
    assert choose_examples(rows) == [RejectedRow(0, n, "too_long", "A" * 60) for n in (0, 1, 2)]


def test_so_many_distinct_sequences_are_known_as_are_needed() -> None:
    def counts(*hashes: int) -> ReadCounts:
        return ReadCounts(sequences=some_sequences(np.array(hashes, np.uint64)))

    assert len(add_counts([counts(3, 3, 5), counts(), counts(5, 8)]).sequences) == 3
    # The first ones of a column say little: the others are looked at, too.
    late = [7] * 1000 + list(range(100, 108))
    assert len(counts(*late).sequences) == 9
    assert len(add_counts([counts(*late), counts(1, 2, 3)]).sequences) == MIN_SEQUENCES

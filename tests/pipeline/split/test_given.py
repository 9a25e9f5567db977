"""Given splits: which sequences are in several of them, and what becomes of their rows."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charseq.errors import DataError
from pipeline.split import given as given_splits
from pipeline.split.given import GivenSplits, add_ranges, join_facts, pack_facts

pytestmark = pytest.mark.unit

FRACTIONS = {"train": Fraction(3, 5), "validation": Fraction(1, 5), "test": Fraction(1, 5)}
# In the first and in the last range of hashes.
LOW, MIDDLE, HIGH = 5, 1 << 63, (1 << 64) - 1


def join(*blocks: list[tuple[int, int]]) -> GivenSplits:
    """Return what blocks of (hash, split) say."""
    ranges: dict[int, list[bytes]] = {}
    for block in blocks:
        hashes, splits = zip(*block, strict=True)
        for number, packed in pack_facts(np.array(hashes, np.uint64), np.array(splits, np.int8)):
            ranges.setdefault(number, []).append(packed)
    return add_ranges(join_facts(packed) for packed in ranges.values())


def test_a_sequence_in_two_splits_is_found_across_blocks() -> None:
    joined = join([(LOW, 0), (LOW, 0), (MIDDLE, 0)], [(HIGH, 2), (LOW, 2), (MIDDLE, 1), (HIGH, 2)])
    assert joined.leaks.tolist() == [LOW, MIDDLE]
    assert joined.count_leaks() == {"train+validation": 1, "train+test": 1}
    assert joined.present == 0b111
    assert joined.is_leak(
        np.array([0, 2, 0, 1, 2], np.int8),
        np.array([LOW, LOW, MIDDLE, MIDDLE, HIGH], np.uint64),
    ).tolist() == [True, False, True, False, False]


def test_a_sequence_in_validation_and_test_alone_is_no_reason_to_drop_a_row() -> None:
    joined = join([(LOW, 1), (LOW, 2), (MIDDLE, 0)])
    assert joined.count_leaks() == {"validation+test": 1}
    hashes = np.array([LOW, LOW, MIDDLE], np.uint64)
    assert not joined.is_leak(np.array([1, 2, 0], np.int8), hashes).any()


def test_a_validation_split_that_is_not_given_is_cut_from_train_rows() -> None:
    joined = join([(LOW, 0), (HIGH, 2)])
    splits = np.array([0, 0, 0, 2], np.int8)
    # 1/5 of 4/5 of the hashes: the last quarter of them.
    hashes = np.array([LOW, 3 << 62, (3 << 62) - 1, HIGH], np.uint64)
    assert joined.assign(splits, hashes, FRACTIONS).tolist() == [0, 1, 0, 2]
    none = {"train": Fraction(1), "validation": Fraction(0), "test": Fraction(0)}
    assert joined.assign(splits, hashes, none).tolist() == [0, 0, 0, 2]
    assert [joined.has_duplicates(split, FRACTIONS) for split in FRACTIONS] == [False, False, True]


def test_a_given_validation_split_stays_as_it_is() -> None:
    joined = join([(LOW, 0), (MIDDLE, 1)])
    splits, hashes = np.array([0, 1], np.int8), np.array([HIGH, HIGH], np.uint64)
    assert joined.assign(splits, hashes, FRACTIONS).tolist() == [0, 1]
    assert [joined.has_duplicates(split, FRACTIONS) for split in FRACTIONS] == [False, True, True]


def test_more_leaks_than_workers_can_hold_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(given_splits, "MAX_LEAKS", 1)
    with pytest.raises(DataError, match=r"^2 sequences are in more than one given split, and 1 is"):
        join([(LOW, 0), (LOW, 1), (MIDDLE, 0), (MIDDLE, 2)])


HASHES = st.sampled_from([0, LOW, 1 << 58, MIDDLE, MIDDLE + 1, HIGH])
BLOCKS = st.lists(st.lists(st.tuples(HASHES, st.integers(0, 2)), min_size=1), min_size=1)


@given(BLOCKS)
def test_it_finds_what_a_dictionary_of_sets_does(blocks: list[list[tuple[int, int]]]) -> None:
    splits_of: dict[int, set[int]] = {}
    for block in blocks:
        for number, split in block:
            splits_of.setdefault(number, set()).add(split)
    joined = join(*blocks)
    masks = {
        number: sum(1 << split for split in splits)
        for number, splits in sorted(splits_of.items())
        if len(splits) > 1
    }
    assert dict(zip(joined.leaks.tolist(), joined.splits_of_leak.tolist(), strict=True)) == masks
    everywhere = set[int]().union(*splits_of.values())
    assert joined.present == sum(1 << split for split in everywhere)

"""Given splits: which sequences are in several of them, and what becomes of their rows."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charseq.errors import DataError
from pipeline.split import plan
from pipeline.split.given import GivenSplits, Leaks, add_leaks, find_leaks, pack_facts
from pipeline.split_options import SplitOptions

pytestmark = pytest.mark.unit

FRACTIONS = {"train": Fraction(3, 5), "validation": Fraction(1, 5), "test": Fraction(1, 5)}
# In the first and in the last range of hashes.
LOW, MIDDLE, HIGH = 5, 1 << 63, (1 << 64) - 1
Row = tuple[int, int]  # a hash and a split


def join(*blocks: list[Row]) -> Leaks:
    """Return what blocks of rows say."""
    ranges: dict[int, list[bytes]] = {}
    for block in blocks:
        hashes, splits = zip(*block, strict=True)
        for number, packed in pack_facts(np.array(hashes, np.uint64), np.array(splits, np.int8)):
            ranges.setdefault(number, []).append(packed)
    return add_leaks(find_leaks(packed) for packed in ranges.values())


def splits_of(*blocks: list[Row], leaks: str = "drop-from-train") -> GivenSplits:
    options = SplitOptions(split_column="part", leaks=leaks)
    return GivenSplits(join(*blocks), options, FRACTIONS)


def assign(splits: GivenSplits, rows: Sequence[Row]) -> tuple[list[int], list[bool]]:
    """Return the split of each row, and which rows are dropped."""
    hashes, given = zip(*rows, strict=True)
    batch = pa.record_batch({"split": pa.array(given, pa.int8())})
    assigned = splits.assign(batch, np.array(hashes, np.uint64))
    return assigned.split.tolist(), assigned.is_dropped.tolist()


def test_a_train_row_in_another_split_is_dropped_across_blocks() -> None:
    blocks = [(LOW, 0), (LOW, 0), (MIDDLE, 0)], [(HIGH, 2), (LOW, 2), (MIDDLE, 1), (HIGH, 2)]
    splits = splits_of(*blocks)
    assert splits.leaks.hashes.tolist() == [LOW, MIDDLE]
    assert splits.leaks.count() == {"train+validation": 1, "train+test": 1}
    assert splits.leaks.present == 0b111
    rows = [(LOW, 0), (LOW, 2), (MIDDLE, 0), (MIDDLE, 1), (HIGH, 2)]
    assert assign(splits, rows) == ([0, 2, 0, 1, 2], [True, False, True, False, False])
    assert assign(splits_of(*blocks, leaks="report"), rows)[1] == [False] * 5


def test_a_sequence_in_validation_and_test_alone_is_no_reason_to_drop_a_row() -> None:
    rows = [(LOW, 1), (LOW, 2), (MIDDLE, 0)]
    splits = splits_of(rows)
    assert splits.leaks.count() == {"validation+test": 1}
    assert assign(splits, rows) == ([1, 2, 0], [False] * 3)


def test_a_validation_split_that_is_not_given_is_cut_from_train_rows() -> None:
    splits = splits_of([(LOW, 0), (HIGH, 2)])
    # 1/5 of 4/5 of the hashes: the last quarter of them.
    rows = [(LOW, 0), (3 << 62, 0), ((3 << 62) - 1, 0), (HIGH, 2)]
    assert assign(splits, rows)[0] == [0, 1, 0, 2]
    assert [splits.keeps_duplicates(split) for split in FRACTIONS] == [False, False, True]
    none = {"train": Fraction(1), "validation": Fraction(0), "test": Fraction(0)}
    without = GivenSplits(splits.leaks, splits.options, none)
    assert assign(without, rows)[0] == [0, 0, 0, 2]


def test_a_given_validation_split_stays_as_it_is() -> None:
    splits = splits_of([(LOW, 0), (MIDDLE, 1)])
    assert assign(splits, [(HIGH, 0), (HIGH, 1)])[0] == [0, 1]
    assert [splits.keeps_duplicates(split) for split in FRACTIONS] == [False, True, True]


def test_more_leaks_than_workers_can_hold_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "MAX_EXCEPTIONS", 1)
    with pytest.raises(DataError, match=r"^sequences in more than one given split: 2, and 1"):
        join([(LOW, 0), (LOW, 1), (MIDDLE, 0), (MIDDLE, 2)])


HASHES = st.sampled_from([0, LOW, 1 << 58, MIDDLE, MIDDLE + 1, HIGH])
BLOCKS = st.lists(st.lists(st.tuples(HASHES, st.integers(0, 2)), min_size=1), min_size=1)


@given(BLOCKS)
def test_it_finds_what_a_dictionary_of_sets_does(blocks: list[list[Row]]) -> None:
    splits_of_hash: dict[int, set[int]] = {}
    for block in blocks:
        for number, split in block:
            splits_of_hash.setdefault(number, set()).add(split)
    leaks = join(*blocks)
    masks = {
        number: sum(1 << split for split in splits)
        for number, splits in sorted(splits_of_hash.items())
        if len(splits) > 1
    }
    assert dict(zip(leaks.hashes.tolist(), leaks.splits.tolist(), strict=True)) == masks
    everywhere = set[int]().union(*splits_of_hash.values())
    assert leaks.present == sum(1 << split for split in everywhere)

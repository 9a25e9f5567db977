"""Groups that share a sequence are one, and all rows of a group are in one split."""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charseq.errors import DataError
from pipeline.split import plan
from pipeline.split.groups import GroupSplits, find_links, join_groups, pack_facts

pytestmark = pytest.mark.unit

FRACTIONS = {"train": Fraction(1, 2), "validation": Fraction(1, 4), "test": Fraction(1, 4)}
Row = tuple[int, int]  # the hash of a sequence and that of a group


def join(*blocks: list[Row]) -> GroupSplits:
    facts: dict[int, list[bytes]] = defaultdict(list)
    for block in blocks:
        hashes, groups = (np.array(column, np.uint64) for column in zip(*block, strict=True))
        for number, packed in pack_facts(hashes, groups):
            facts[number].append(packed)
    return join_groups([find_links(packed) for packed in facts.values()], FRACTIONS)


def assign(splits: GroupSplits, rows: list[Row]) -> list[int]:
    hashes, groups = (np.array(column, np.uint64) for column in zip(*rows, strict=True))
    assigned = splits.assign(pa.record_batch({"group": pa.array(groups)}), hashes)
    assert not assigned.is_dropped.any()
    return assigned.split.tolist()  # type: ignore[no-any-return]


def test_groups_are_linked_through_each_other() -> None:
    far = 1 << 63
    # 9 and 4 share a sequence, 4 and 7 another one of another range; 2 shares none.
    splits = join([(5, 9), (far, 7), (6, 2)], [(5, 4), (far, 4), (5, 9)])
    assert splits.linked.tolist() == [4, 7, 9]
    assert splits.root.tolist() == [4, 4, 4]
    assert list(splits.notes({})) == [
        "groups that share a sequence are in one split: 3 groups are joined to 1"
    ]


def test_without_a_shared_sequence_each_group_is_for_itself() -> None:
    splits = join([(number, number) for number in range(1000)])
    assert len(splits.linked) == 0
    assert list(splits.notes({})) == []
    found = np.bincount(assign(splits, [(number, number) for number in range(1000)])) / 1000
    np.testing.assert_allclose(found, [0.5, 0.25, 0.25], atol=0.05)


def test_joined_groups_are_in_any_split() -> None:
    """The least of many hashes is small; it alone would put large groups into the train split."""
    rng = np.random.default_rng(0)
    rows = [
        (sequence, int(group))
        for sequence in range(400)
        for group in rng.integers(0, 1 << 64, 20, np.uint64)
    ]
    splits = join(rows)
    found = np.bincount(assign(splits, rows)) / len(rows)
    np.testing.assert_allclose(found, [0.5, 0.25, 0.25], atol=0.08)


def test_more_links_than_a_worker_can_hold_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "MAX_EXCEPTIONS", 1)
    with pytest.raises(DataError, match=r"^links between groups that share a sequence: 2, and"):
        join([(5, 1), (5, 2), (5, 3)])


ROWS = st.lists(st.tuples(st.integers(0, 15), st.integers(0, 15)), min_size=1, max_size=60)


@given(ROWS, st.integers(1, 3))
def test_no_group_and_no_sequence_is_in_two_splits(rows: list[Row], blocks: int) -> None:
    scattered = [(sequence * ((1 << 64) // 16), group) for sequence, group in rows]
    parts = [part for part in (scattered[start::blocks] for start in range(blocks)) if part]
    splits = join(*parts)
    again = join(scattered[::-1])
    assert (splits.linked.tolist(), splits.root.tolist()) == (
        again.linked.tolist(),
        again.root.tolist(),
    )
    found = assign(splits, scattered)
    for place in (0, 1):
        of_member: dict[int, set[int]] = defaultdict(set)
        for row, split in zip(scattered, found, strict=True):
            of_member[row[place]].add(split)
        assert {len(of) for of in of_member.values()} == {1}

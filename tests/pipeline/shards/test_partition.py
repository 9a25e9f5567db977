"""The hash, and the split and shard it leads to."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.rows.hashing import hash_sequences
from pipeline.shards.partition import (
    PlannedShard,
    assign_splits,
    default_train_shards,
    plan_even_partition,
    plan_partition,
)
from tests.support.reference import reference_hash

pytestmark = pytest.mark.unit

EIGHTY = {"train": Fraction(8, 10), "validation": Fraction(1, 10), "test": Fraction(1, 10)}


@given(st.lists(st.text(min_size=1, max_size=30), max_size=8), st.integers(0, 2**63 - 1))
def test_the_hash_is_the_documented_one(texts: list[str], seed: int) -> None:
    texts = [text.encode("utf-8", "replace").decode() for text in texts]
    column = pa.array(["before", *texts], pa.string())[1:]
    assert hash_sequences(column, seed).tolist() == [
        reference_hash(text.encode(), seed) for text in texts
    ]


def test_the_hash_never_changes() -> None:
    """A dataset prepared years ago must come out the same: these numbers are forever."""
    found = hash_sequences(pa.array(["A", "ACDEFGHI", "ACDEFGHIK", "é😀"]), seed=7)
    assert found.tolist() == [
        176632694450215907,
        5173247658393881562,
        30967223901121734,
        3846535884105718614,
    ]


def test_splits_and_shards_are_ranges_of_the_hash() -> None:
    partition = plan_partition(EIGHTY, train_shards=4)
    assert partition.shards == (
        PlannedShard("train", 0, 4),
        PlannedShard("train", 1, 4),
        PlannedShard("train", 2, 4),
        PlannedShard("train", 3, 4),
        PlannedShard("validation", 0, 1),
        PlannedShard("test", 0, 1),
    )
    edges = np.array([0, 2**64 // 5 - 1, 2**64 // 5 + 1, 2**64 - 1], np.uint64)
    assert partition.assign(edges, assign_splits(edges, EIGHTY)).tolist() == [0, 0, 1, 5]


def test_shards_of_a_split_of_all_hashes_are_even_ranges_of_all_hashes() -> None:
    partition = plan_even_partition({"train": 6, "validation": 0, "test": 7}, train_shards=2)
    assert partition.shards == (
        PlannedShard("train", 0, 2),
        PlannedShard("train", 1, 2),
        PlannedShard("test", 0, 3),
        PlannedShard("test", 1, 3),
        PlannedShard("test", 2, 3),
    )
    hashes = np.array([0, 2**63 - 1, 2**63, 2**64 - 1, 0, 2**63, 2**64 - 1], np.uint64)
    splits = np.array([0, 0, 0, 0, 2, 2, 2])
    assert partition.assign(hashes, splits).tolist() == [0, 0, 1, 1, 2, 3, 4]


def test_a_split_without_share_has_no_shard() -> None:
    fractions = {"train": Fraction(1), "validation": Fraction(0)}
    partition = plan_partition(fractions, 1)
    assert partition.shards == (PlannedShard("train", 0, 1),)
    hashes = np.array([0, 2**64 - 1], np.uint64)
    assert partition.assign(hashes, assign_splits(hashes, fractions)).tolist() == [0, 0]


def test_the_split_does_not_depend_on_the_number_of_shards() -> None:
    hashes = np.random.default_rng(0).integers(0, 2**64, 1000, np.uint64)
    few, many = plan_partition(EIGHTY, 1), plan_partition(EIGHTY, 7)
    split = assign_splits(hashes, EIGHTY)
    assert [few.shards[i].split for i in few.assign(hashes, split)] == [
        many.shards[i].split for i in many.assign(hashes, split)
    ]


def test_shares_are_met() -> None:
    texts = pa.array([f"sequence {n}" for n in range(20_000)])
    found = np.bincount(assign_splits(hash_sequences(texts, seed=0), EIGHTY)) / 20_000
    np.testing.assert_allclose(found, [0.8, 0.1, 0.1], atol=0.01)


def test_default_shards_follow_the_rows() -> None:
    rows = [Fraction(8, 10) * count for count in (1, 327_680, 327_681, 1_085_420)]
    assert [default_train_shards(each) for each in rows] == [1, 1, 2, 4]


def test_file_names() -> None:
    assert PlannedShard("train", 3, 16).file_name("none") == "train/part-00003-of-00016.tfrecord"
    assert PlannedShard("test", 0, 1).file_name("gzip") == "test/part-00000-of-00001.tfrecord.gz"

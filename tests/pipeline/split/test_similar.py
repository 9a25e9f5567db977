"""Clusters of similar sequences are in one split; or their train rows are dropped."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from charseq.errors import DataError
from pipeline.options import Options
from pipeline.rows.hashing import hash_sequences
from pipeline.shards.partition import assign_splits
from pipeline.split import similar
from pipeline.split.similar import ClusterSplits, DroppedSplits, RangeLinks, find_links, join_links
from pipeline.split_options import SplitOptions

pytestmark = pytest.mark.unit

FAR = 1 << 63


def make_options(**splits: Any) -> Options:
    return Options(
        input=("a.csv",),
        output="out",
        split="train=0.5,validation=0.25,test=0.25",
        splits=SplitOptions(similar=0.8, **splits),
    )


def links(first: list[int], second: list[int], sequences: int) -> RangeLinks:
    return RangeLinks(np.array(first, np.uint64), np.array(second, np.uint64), sequences)


def join(options: Options, *ranges: RangeLinks) -> Any:
    return join_links(ranges, options)


class Keyed:
    """Sequences whose similar pairs are known."""

    def __init__(self, pairs: list[tuple[list[int], list[int]]], sequences: int) -> None:
        self._pairs, self._sequences = pairs, sequences

    def count(self, number: int, bits: int) -> int:
        return self._sequences

    def similar_pairs(self) -> Iterator[tuple[np.ndarray[Any, Any], ...]]:
        for both in self._pairs:
            yield tuple(np.array(each, np.uint64) for each in both)


NO_ROWS = pa.record_batch({"label": pa.array([], pa.string())})


def test_clusters_are_linked_over_ranges() -> None:
    splits = join(make_options(), links([9, 4], [4, 2], 20), links([FAR], [9], 10))
    assert isinstance(splits, ClusterSplits)
    assert splits.clusters.nodes.tolist() == [2, 4, 9, FAR]
    assert splits.clusters.root.tolist() == [2, 2, 2, 2]
    assert list(splits.notes({})) == [
        "sequences of identity 0.8 or more are in one split: 4 of 30 are in 1 cluster, the "
        "largest of 4 (13.3 %)"
    ]
    assert splits.to_json() == {"sequences": 30, "linked": 4, "clusters": 1, "largest": 4}


def test_sequences_like_no_other_are_where_their_hash_puts_them() -> None:
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 1 << 64, 1000, np.uint64)
    options = make_options()
    linked = links(hashes[1:100].tolist(), hashes[:99].tolist(), 1000)
    splits = join(options, linked)
    assigned = splits.assign(NO_ROWS, hashes)
    by_hash = assign_splits(hashes, options.split_fractions)
    assert assigned.split[100:].tolist() == by_hash[100:].tolist()
    assert len(set(assigned.split[:100].tolist())) == 1
    assert not assigned.is_dropped.any()


def test_clusters_are_in_any_split() -> None:
    """The least of many hashes is small; it alone would put large clusters into the train split."""
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 1 << 64, (400, 20), np.uint64)
    first, second = hashes[:, 1:].reshape(-1), hashes[:, :-1].reshape(-1)
    splits = join(make_options(), RangeLinks(first, second, hashes.size))
    found = np.bincount(splits.assign(NO_ROWS, hashes[:, 0]).split) / 400
    np.testing.assert_allclose(found, [0.5, 0.25, 0.25], atol=0.08)


def test_notes_say_what_is_not_there_and_what_is_bent() -> None:
    (note,) = join(make_options(), links([], [], 30)).notes({})
    assert note == "no two of 30 sequences are of identity 0.8 or more"
    *_, last = join(make_options(), links([3, 4, 5], [2, 3, 4], 15)).notes({})
    assert last == (
        "the largest cluster has more sequences than the smallest split should have: the splits "
        "are not of the fractions that were asked for"
    )


def test_a_cluster_of_too_many_sequences_is_refused() -> None:
    ranges = links([3, 4, 5], [2, 3, 4], 7)
    with pytest.raises(DataError) as caught:
        join(make_options(), ranges)
    assert str(caught.value) == (
        "--similar 0.8 links 4 of 7 sequences (57.1 %) to one cluster, which must be in one "
        "split; a higher identity links fewer, --similar-policy drop rejects train rows instead, "
        "--max-cluster-share (now 0.5) allows it"
    )
    join(make_options(max_cluster_share=0.6), ranges)


def test_train_sequences_near_another_split_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    options = make_options(similar_policy="drop")
    train, other_train, validation, test = 5, 6, FAR, 3 << 62
    pairs = [
        ([train, validation, other_train], [other_train, train, 7]),
        ([test, train], [validation, test]),
    ]
    monkeypatch.setattr(similar, "KeyedSequences", lambda *_: Keyed(pairs, 30))
    found = find_links(0, [], options)
    assert (found.first.tolist(), found.sequences) == ([train], 30)
    splits = join(options, found, links([other_train], [test], 1))
    assert isinstance(splits, DroppedSplits)
    assert splits.drop_reason == "near_other_split"
    hashes = np.array([train, other_train, 7, validation, test], np.uint64)
    assigned = splits.assign(NO_ROWS, hashes)
    assert assigned.is_dropped.tolist() == [True, True, False, False, False]
    assert assigned.split.tolist() == [0, 0, 0, 1, 2]
    assert splits.to_json() == {"sequences": 31, "dropped": 2}


def test_a_link_for_each_sequence_has_the_components_of_all_pairs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pairs = [([1, 1], [2, 3]), ([2, 8, 2], [3, 9, 3])]
    monkeypatch.setattr(similar, "KeyedSequences", lambda *_: Keyed(pairs, 5))
    found = find_links(0, [], make_options())
    assert (found.first.tolist(), found.second.tolist()) == ([2, 3, 9], [1, 1, 8])


def test_without_a_pair_nothing_changes() -> None:
    hashes = hash_sequences(pa.array(["AC", "DE"]), 0)
    for policy in ("group", "drop"):
        options = make_options(similar_policy=policy)
        assigned = join(options, links([], [], 2)).assign(NO_ROWS, hashes)
        assert assigned.split.tolist() == assign_splits(hashes, options.split_fractions).tolist()
        assert not assigned.is_dropped.any()

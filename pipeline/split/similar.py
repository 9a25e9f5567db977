"""--similar: sequences that are nearly equal, with all that they link, in one split; or none.

Similar sequences are edges of a graph, and its components are clusters. Each range of hashes tells
what it finds, and all of that fits into the memory of a worker, or the input is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pyarrow as pa

from charseq.errors import DataError
from charseq.html.formats import format_share
from pipeline.components import Components, connect
from pipeline.options import Options
from pipeline.rows.hashing import mix
from pipeline.rows.spilling import Packed
from pipeline.rows.validation import NEAR_OTHER_SPLIT
from pipeline.shards.partition import assign_splits
from pipeline.similar.pairs import KeyedSequences
from pipeline.split.given import TRAIN
from pipeline.split.plan import AssignedSplits, Bools, Hashes, SplitPlan, check_exceptions, look_up
from pipeline.split_options import DROP, SplitOptions


class RangeLinks(NamedTuple):
    """What a range of hashes tells.

    first, second: (k,) uint64, links that have the components of all similar pairs in the range;
    or, with DROP, a train sequence and one of another split that is like it. sequences: how many
    distinct ones have their hash in the range.
    """

    first: Hashes
    second: Hashes
    sequences: int


def describe_identity(options: SplitOptions) -> str:
    """Return what --similar asks for as text."""
    return "1" if options.similar == 1 else f"{options.similar:g} or more"


@dataclass(frozen=True)
class ClusterSplits(SplitPlan):
    """Each sequence in the split of its cluster, and those that are like no other as without.

    clusters: of all sequences that are like another. sequences: the number of distinct ones.
    """

    clusters: Components
    sequences: int
    options: SplitOptions
    fractions: Mapping[str, Fraction]

    @property
    def sizes(self) -> Hashes:
        """The number of sequences in each cluster of several, (k,)."""
        return np.unique(self.clusters.root, return_counts=True)[1].astype(np.uint64)

    @property
    def largest(self) -> int:
        """The number of sequences in the largest cluster."""
        return int(self.sizes.max(initial=0))

    def assign(self, rows: pa.RecordBatch, hashes: Hashes) -> AssignedSplits:
        """See SplitPlan."""
        own = hashes
        if len(self.clusters.nodes):
            place, is_linked = look_up(self.clusters.nodes, hashes)
            # Hashed once more: the least of several hashes would be a train row's more often.
            own = np.where(is_linked, mix(self.clusters.root[place]), hashes)
        split = assign_splits(own, self.fractions)
        return AssignedSplits(split.astype(np.int8), np.zeros(len(hashes), np.bool_))

    def check_largest(self) -> None:
        """Check that no cluster has too large a share of all sequences.

        Raises:
            DataError: one has.
        """
        if self.largest > self.options.max_cluster_share * self.sequences:
            raise DataError(
                f"--similar {self.options.similar:g} links {self.largest:,} of "
                f"{self.sequences:,} sequences ({format_share(self.largest, self.sequences)}) to "
                f"one cluster, which must be in one split; a higher identity links fewer, "
                "--similar-policy drop rejects train rows instead, --max-cluster-share "
                f"(now {self.options.max_cluster_share:g}) allows it"
            )

    def notes(self, named: Mapping[int, str]) -> Iterator[str]:
        """See SplitPlan."""
        if not len(self.clusters.nodes):
            yield f"no two of {self.sequences:,} sequences are of identity {self._identity}"
            return
        yield (
            f"sequences of identity {self._identity} are in one split: "
            f"{len(self.clusters.nodes):,} of {self.sequences:,} are in {len(self.sizes):,} "
            f"{'cluster' if len(self.sizes) == 1 else 'clusters'}, the largest of "
            f"{self.largest:,} ({format_share(self.largest, self.sequences)})"
        )
        least = min(filter(None, self.fractions.values()))
        if self.largest > least * self.sequences:
            yield (
                "the largest cluster has more sequences than the smallest split should have: the "
                "splits are not of the fractions that were asked for"
            )

    @property
    def _identity(self) -> str:
        return describe_identity(self.options)

    def to_json(self) -> dict[str, Any]:
        """Return what was found, as `dataset.json` holds it."""
        return {
            "sequences": self.sequences,
            "linked": len(self.clusters.nodes),
            "clusters": len(self.sizes),
            "largest": self.largest,
        }


@dataclass(frozen=True)
class DroppedSplits(SplitPlan):
    """Each sequence in the split of its hash, without train rows that are like one of another.

    dropped: the train sequences that are, (k,) uint64, ascending. sequences: the number of distinct
    ones.
    """

    drop_reason: ClassVar[str] = NEAR_OTHER_SPLIT

    dropped: Hashes
    sequences: int
    options: SplitOptions
    fractions: Mapping[str, Fraction]

    def assign(self, rows: pa.RecordBatch, hashes: Hashes) -> AssignedSplits:
        """See SplitPlan."""
        split = assign_splits(hashes, self.fractions).astype(np.int8)
        return AssignedSplits(split, self._is_dropped(hashes))

    def _is_dropped(self, hashes: Hashes) -> Bools:
        if not len(self.dropped):
            return np.zeros(len(hashes), np.bool_)
        return look_up(self.dropped, hashes)[1]

    def notes(self, named: Mapping[int, str]) -> Iterator[str]:
        """See SplitPlan."""
        yield (
            f"train sequences of identity {describe_identity(self.options)} to one of another "
            f"split: {len(self.dropped):,} of {self.sequences:,} sequences; their rows are "
            f"rejected as {NEAR_OTHER_SPLIT}"
        )

    def to_json(self) -> dict[str, Any]:
        """Return what was found, as `dataset.json` holds it."""
        return {"sequences": self.sequences, "dropped": len(self.dropped)}


SimilarSplits = ClusterSplits | DroppedSplits


def find_links(number: int, packed: Iterable[Packed], options: Options) -> RangeLinks:
    """Return the links among the sequences with keys in a range of hashes."""
    keyed = KeyedSequences(packed, options.identity)
    first = second = np.zeros(0, np.uint64)
    for one, other in keyed.similar_pairs():
        # After each step as few as tell the same: a range may have millions of pairs.
        first, second = np.concatenate([first, one]), np.concatenate([second, other])
        if options.splits.similar_policy == DROP:
            first, second = _links_to_train(first, second, options.split_fractions)
        else:
            first, second = _links_to_roots(first, second)
    return RangeLinks(first, second, keyed.count(number, options.range_bits))


def _links_to_roots(first: Hashes, second: Hashes) -> tuple[Hashes, Hashes]:
    """Return a link from each node to the root of its component."""
    clusters = connect(first, second)
    is_below = clusters.nodes != clusters.root
    return clusters.nodes[is_below], clusters.root[is_below]


def _links_to_train(
    first: Hashes, second: Hashes, fractions: Mapping[str, Fraction]
) -> tuple[Hashes, Hashes]:
    """Return a link from each train sequence that is like one of another split to one of those."""
    both = np.stack([first, second])
    is_train = assign_splits(both, fractions) == TRAIN
    is_mixed = is_train[0] != is_train[1]
    of_train = np.where(is_train[0], both[0], both[1])[is_mixed]
    other = np.where(is_train[0], both[1], both[0])[is_mixed]
    of_train, places = np.unique(of_train, return_index=True)
    return of_train, other[places]


def join_links(ranges: Iterable[RangeLinks], options: Options) -> SimilarSplits:
    """Return the plan from the links of all ranges of hashes.

    Raises:
        DataError: there are more links than a worker can hold, or a cluster is too large.
    """
    parts = [RangeLinks(np.zeros(0, np.uint64), np.zeros(0, np.uint64), 0), *ranges]
    first, second = (
        np.concatenate(of_parts) for of_parts in zip(*(p[:2] for p in parts), strict=True)
    )
    sequences = sum(part.sequences for part in parts)
    check_exceptions(len(first), "links between similar sequences")
    fractions = options.split_fractions
    if options.splits.similar_policy == DROP:
        return DroppedSplits(np.unique(first), sequences, options.splits, fractions)
    splits = ClusterSplits(connect(first, second), sequences, options.splits, fractions)
    # Here, before all rows are compared with a sample of those to measure with.
    splits.check_largest()
    return splits

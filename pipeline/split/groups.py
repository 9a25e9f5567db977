"""--group-column: all rows of a group in one split, also of groups that share a sequence.

Groups that share a sequence are linked, and linked groups are one: the components of a graph. Each
range of hashes tells which groups it links; all links fit into the memory of a worker, or the input
is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pyarrow as pa

from pipeline.columns.splits import Places
from pipeline.components import connect
from pipeline.rows.hashing import mix
from pipeline.rows.packing import unpack_rows
from pipeline.rows.spilling import Packed
from pipeline.shards.partition import assign_splits
from pipeline.split.plan import (
    AssignedSplits,
    Hashes,
    SplitPlan,
    check_exceptions,
    cut_ranges,
    distinct_pairs,
    look_up,
)

FACTS = pa.schema([("hash", pa.uint64()), ("group", pa.uint64())])


@dataclass(frozen=True)
class GroupSplits(SplitPlan):
    """Each row in the split of its group.

    linked: hashes of the groups that share a sequence with another, (k,) uint64, ascending. root:
    the least hash of all groups that are one with it, (k,) uint64. fractions: of `--split`.
    """

    linked: Hashes
    root: Hashes
    fractions: Mapping[str, Fraction]

    def assign(self, rows: pa.RecordBatch, hashes: Hashes) -> AssignedSplits:
        """See SplitPlan."""
        split = self.split_of_groups(rows["group"].to_numpy())
        return AssignedSplits(split, np.zeros(len(split), np.bool_))

    def split_of_groups(self, group: Hashes) -> Places:
        """Return the place of the split of groups, (n,) uint64 to (n,) int8."""
        if len(self.linked):
            place, is_linked = look_up(self.linked, group)
            group = np.where(is_linked, self.root[place], group)
        # Hashed once more: the least of several hashes would be a train row's more often.
        return assign_splits(mix(group), self.fractions).astype(np.int8)

    def notes(self, named: Mapping[int, str]) -> Iterator[str]:
        """See SplitPlan."""
        if len(self.linked):
            yield (
                f"groups that share a sequence are in one split: {len(self.linked):,} groups are "
                f"joined to {len(np.unique(self.root)):,}"
            )


def pack_facts(hashes: Hashes, group: Hashes) -> Iterator[tuple[int, bytes]]:
    """Yield the distinct pairs of n rows by ranges of hashes, see `cut_ranges`.

    Args:
        hashes: of the sequences, (n,) uint64.
        group: the hash of each row's group, (n,) uint64.
    """
    hashes, group = distinct_pairs(hashes, group)
    facts = pa.RecordBatch.from_arrays([pa.array(hashes), pa.array(group)], schema=FACTS)
    yield from cut_ranges(hashes, facts)


def distinct_groups(packed: Packed) -> Hashes:
    """Return the groups of packed facts: (k,) uint64, ascending."""
    return np.unique(unpack_rows([packed], FACTS)["group"].to_numpy())


def add_groups(groups: Iterable[Hashes]) -> Hashes:
    """Return all distinct groups: (k,) uint64, ascending."""
    return np.unique(np.concatenate([np.zeros(0, np.uint64), *groups]))


def find_links(packed: Iterable[Packed]) -> tuple[Hashes, Hashes]:
    """Return the pairs of groups that a range of hashes links: (k,) and (k,) uint64."""
    facts = unpack_rows(packed, FACTS)
    return link_groups(*distinct_pairs(facts["hash"].to_numpy(), facts["group"].to_numpy()))


def link_groups(hashes: Hashes, group: Hashes) -> tuple[Hashes, Hashes]:
    """Return the pairs of groups that share a sequence, of distinct pairs in order."""
    # A sequence of several groups links each of them to the one before.
    shared = np.flatnonzero(hashes[1:] == hashes[:-1])
    return distinct_pairs(group[shared], group[shared + 1])


def join_groups(
    links: Iterable[tuple[Hashes, Hashes]], fractions: Mapping[str, Fraction]
) -> GroupSplits:
    """Return the plan from the links of all ranges of hashes.

    Raises:
        DataError: there are more links than a worker can hold.
    """
    none = np.zeros(0, np.uint64)
    first, second = (np.concatenate(parts) for parts in zip((none, none), *links, strict=True))
    check_exceptions(len(first), "links between groups that share a sequence")
    groups = connect(first, second)
    return GroupSplits(groups.nodes, groups.root, fractions)

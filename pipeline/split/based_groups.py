"""--base and --group-column: rows stay with their groups, also with those that the base has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar, NamedTuple

import numpy as np
import pyarrow as pa

from pipeline.base import Base
from pipeline.columns.splits import Places
from pipeline.components import connect
from pipeline.rows.hashing import mix
from pipeline.rows.packing import unpack_rows
from pipeline.rows.spilling import Packed
from pipeline.rows.validation import BETWEEN_SPLITS
from pipeline.shards.group_index import find_groups
from pipeline.shards.known_rows import find_splits
from pipeline.shards.partition import assign_splits
from pipeline.split.groups import FACTS, link_groups
from pipeline.split.plan import (
    AssignedSplits,
    Hashes,
    SplitPlan,
    check_exceptions,
    distinct_pairs,
    look_up,
)

_BETWEEN = -1


class Ties(NamedTuple):
    """What a range of hashes tells of groups of new rows.

    groups: distinct, (g,) uint64. first, second: groups that share a sequence, (k,) uint64. tied,
    split: groups with a sequence that the base has, and the place of its split, (m,).
    """

    groups: Hashes
    first: Hashes
    second: Hashes
    tied: Hashes
    split: Places


@dataclass(frozen=True)
class BasedGroupSplits(SplitPlan):
    """Each row in the split of its group.

    groups: those whose split does not follow from their hash, (k,) uint64, ascending. split: the
    place of each in SPLITS, or _BETWEEN, (k,) int8. fractions: of `--split`.
    """

    drop_reason: ClassVar[str] = BETWEEN_SPLITS

    groups: Hashes
    split: Places
    fractions: Mapping[str, Fraction]

    def assign(self, rows: pa.RecordBatch, hashes: Hashes) -> AssignedSplits:
        """See SplitPlan."""
        group = rows["group"].to_numpy()
        split = self.split_of_groups(group)
        return AssignedSplits(np.maximum(split, 0).astype(np.int8), split == _BETWEEN)

    def split_of_groups(self, group: Hashes) -> Places:
        """Return the place of the split of groups, (n,) uint64 to (n,) int8."""
        split = assign_splits(mix(group), self.fractions).astype(np.int8)
        if not len(self.groups):
            return split
        place, is_there = look_up(self.groups, group)
        return np.where(is_there, self.split[place], split).astype(np.int8)

    def notes(self, named: Mapping[int, str]) -> Iterator[str]:
        """See SplitPlan."""
        if between := int(np.count_nonzero(self.split == _BETWEEN)):
            yield (
                f"groups that are tied to several splits of the base: {between:,}; their rows are "
                f"rejected as {BETWEEN_SPLITS}"
            )


def find_ties(packed: Iterable[Packed], base: Base) -> Ties:
    """Return what a range of hashes tells of the groups in it."""
    facts = unpack_rows(packed, FACTS)
    hashes, group = distinct_pairs(facts["hash"].to_numpy(), facts["group"].to_numpy())
    split = find_splits(base, hashes)
    tied, split_of_tied = distinct_pairs(group[split >= 0], split[split >= 0])
    return Ties(np.unique(group), *link_groups(hashes, group), tied, split_of_tied)


def join_ties(
    ranges: Iterable[Ties], base: Base, fractions: Mapping[str, Fraction]
) -> BasedGroupSplits:
    """Return the plan from the ties of all ranges of hashes.

    Raises:
        DataError: there are more groups or links than a worker can hold; or an index of the base
            cannot be read, or has changed.
    """
    none = np.zeros(0, np.uint64)
    parts = [Ties(none, none, none, none, np.zeros(0, np.int8)), *ranges]
    groups = np.unique(np.concatenate([part.groups for part in parts]))
    check_exceptions(len(groups), "groups of rows that are added")
    of_base, split_of_base = find_groups(base, groups)
    tied = np.concatenate([of_base, *(part.tied for part in parts)])
    split = np.concatenate([split_of_base, *(part.split for part in parts)])
    first, second = (np.concatenate([part[place] for part in parts]) for place in (1, 2))
    check_exceptions(len(first), "links between groups that share a sequence")
    # A tied group without a link is a component of its own.
    clusters = connect(np.concatenate([first, tied]), np.concatenate([second, tied]))
    masks = np.zeros(len(clusters.nodes), np.int64)
    root_of = np.searchsorted(clusters.nodes, clusters.root)
    np.bitwise_or.at(masks, root_of[np.searchsorted(clusters.nodes, tied)], 1 << split)
    return BasedGroupSplits(
        clusters.nodes, _outcome(masks[root_of], clusters.root, fractions), fractions
    )


def _outcome(
    masks: np.ndarray[tuple[int], np.dtype[np.int64]],
    root: Hashes,
    fractions: Mapping[str, Fraction],
) -> Places:
    """Return the split of groups: that of their ties, or by the hash of their root without any.

    Args:
        masks: of each group, (k,), bit i for a tie to the split at place i.
        root: the least hash of the groups that are one with it, (k,).
        fractions: of `--split`.
    """
    by_hash = assign_splits(mix(root), fractions)
    of_mask = np.array([0, 0, 1, _BETWEEN, 2, _BETWEEN, _BETWEEN, _BETWEEN])
    return np.where(masks == 0, by_hash, of_mask[masks]).astype(np.int8)

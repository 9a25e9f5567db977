"""--base and --stratify: new sequences cut where the base's labels are, old ones where they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.base import Base
from pipeline.columns.splits import Places
from pipeline.rows.packing import unpack_rows
from pipeline.shards.known_rows import find_splits
from pipeline.shards.partition import assign_splits
from pipeline.split.plan import AssignedSplits, Hashes, SplitPlan, check_exceptions, look_up
from pipeline.split.strata import STRATA, Cuts, RangeStrata


class Exceptions(NamedTuple):
    """Sequences whose split does not follow from hash and label of their row alone.

    hashes: (k,) uint64. split: the place of each in SPLITS, (k,) int8.
    """

    hashes: Hashes
    split: Places


@dataclass(frozen=True)
class BasedSplits(SplitPlan):
    """Each row by the cuts of its label in the base, or by the hash alone if that is a new label.

    exceptions: of all ranges, ascending.
    """

    cuts: Cuts
    exceptions: Exceptions
    fractions: Mapping[str, Fraction]

    def assign(self, rows: pa.RecordBatch, hashes: Hashes) -> AssignedSplits:
        """See SplitPlan."""
        split = cut(self.cuts, rows["label"], hashes, self.fractions)
        if len(self.exceptions.hashes):
            place, is_there = look_up(self.exceptions.hashes, hashes)
            split = np.where(is_there, self.exceptions.split[place], split)
        return AssignedSplits(split, np.zeros(len(hashes), np.bool_))


def cut(
    cuts: Cuts, label: pa.StringArray, hashes: Hashes, fractions: Mapping[str, Fraction]
) -> npt.NDArray[np.int8]:
    """Return the split of n sequences by the cuts of their labels, or by hash for new labels."""
    stratum = pc.index_in(label, value_set=cuts.labels).fill_null(-1).to_numpy()
    by_hash = assign_splits(hashes, fractions)
    if not len(cuts.labels):
        return by_hash.astype(np.int8)
    return np.where(stratum < 0, by_hash, cuts.split(stratum, hashes)).astype(np.int8)


def find_exceptions(
    strata: RangeStrata, base: Base, fractions: Mapping[str, Fraction]
) -> Exceptions:
    """Return the exceptions of a range of hashes: sequences of the base, and of several labels."""
    rows = unpack_rows([strata.packed], STRATA)
    hashes = rows["hash"].to_numpy()
    cuts = Cuts.from_json(base.first.strata or {})
    rule = cut(cuts, rows["label"], hashes, fractions)
    of_base = find_splits(base, hashes)
    split = np.where(of_base >= 0, of_base, rule)
    several = unpack_rows([strata.counts.several], STRATA)["hash"].to_numpy()
    is_exception = (split != rule) | np.isin(hashes, several)
    return Exceptions(hashes[is_exception], split[is_exception].astype(np.int8))


def join_exceptions(
    ranges: Iterable[Exceptions], base: Base, fractions: Mapping[str, Fraction]
) -> BasedSplits:
    """Return the plan from the exceptions of all ranges of hashes.

    Raises:
        DataError: there are more than workers can hold.
    """
    parts = [Exceptions(np.zeros(0, np.uint64), np.zeros(0, np.int8)), *ranges]
    hashes = np.concatenate([part.hashes for part in parts])
    check_exceptions(len(hashes), "sequences that are not in the split of their label and hash")
    order = np.argsort(hashes)
    split = np.concatenate([part.split for part in parts])
    cuts = Cuts.from_json(base.first.strata or {})
    return BasedSplits(cuts, Exceptions(hashes[order], split[order]), fractions)

"""Splits that the user gives: a row's split by its file or by a column, and leaks between them.

A sequence in more than one split is found by its hash. Each block of the input tells the hashes of
its rows and their splits, a range of hashes is joined at a time, and what remains is the hashes
that are in several splits: few, and small enough for every worker.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from charseq.console.messages import name_first
from charseq.errors import DataError
from charseq.manifest import SPLITS
from pipeline.columns.splits import Places
from pipeline.rows.packing import unpack_rows
from pipeline.rows.spilling import Packed
from pipeline.shards.partition import assign_splits
from pipeline.split.plan import (
    AssignedSplits,
    Bools,
    Hashes,
    SplitPlan,
    check_exceptions,
    cut_ranges,
    distinct_pairs,
    show_counts,
)
from pipeline.split_options import DROP_FROM_TRAIN, FAIL, SplitOptions

TRAIN, VALIDATION = 0, 1  # places in SPLITS
_MAX_KEPT = 10
_MAX_NAMED = 5
_NAME_CHARACTERS = 60
_FACTS = pa.schema([("hash", pa.uint64()), ("split", pa.int8())])


@dataclass(frozen=True)
class Leaks:
    """The sequences of a range of hashes, or of all, that are in more than one given split.

    hashes: (k,) uint64, ascending. splits: of each, (k,) int8, bit i for the split at place i.
    present: the splits that have a row at all, likewise.
    """

    hashes: Hashes = field(default_factory=lambda: np.zeros(0, np.uint64))
    splits: Places = field(default_factory=lambda: np.zeros(0, np.int8))
    present: int = 0

    def count(self) -> dict[str, int]:
        """Return how many sequences are in which splits, as `train+test`."""
        masks, counts = np.unique(self.splits, return_counts=True)
        return {
            _name_splits(mask): count
            for mask, count in zip(masks.tolist(), counts.tolist(), strict=True)
        }


def _name_splits(mask: int) -> str:
    return "+".join(name for place, name in enumerate(SPLITS) if mask >> place & 1)


@dataclass(frozen=True)
class GivenSplits(SplitPlan):
    """Each row in the split that it is given, without the leaks that are to be dropped.

    leaks: of all rows. options: of the splits. fractions: of `--split`.
    """

    leaks: Leaks
    options: SplitOptions
    fractions: Mapping[str, Fraction]

    @property
    def cuts_validation(self) -> bool:
        """Whether the validation split is cut from the train rows, as none is given."""
        is_given = "validation" in self.options.wanted or self.leaks.present >> VALIDATION & 1
        return not is_given and self.fractions["validation"] > 0

    def assign(self, rows: pa.RecordBatch, hashes: Hashes) -> AssignedSplits:
        """See SplitPlan."""
        given = rows["split"].to_numpy()
        split = self._cut_validation(given, hashes) if self.cuts_validation else given
        return AssignedSplits(split, self._is_dropped(given, hashes))

    def _cut_validation(self, given: Places, hashes: Hashes) -> Places:
        rest = self.fractions["train"] + self.fractions["validation"]
        shares = {name: self.fractions[name] / rest for name in ("train", "validation")}
        return np.where(given == TRAIN, assign_splits(hashes, shares), given).astype(np.int8)

    def _is_dropped(self, given: Places, hashes: Hashes) -> Bools:
        """Return the train rows whose sequence is in another split, too, if they are dropped."""
        if self.options.leaks != DROP_FROM_TRAIN:
            return np.zeros(len(given), np.bool_)
        of_train = self.leaks.hashes[(self.leaks.splits & 1) == 1]
        is_dropped: npt.NDArray[np.bool_] = (given == TRAIN) & np.isin(hashes, of_train)
        return is_dropped

    def keeps_duplicates(self, split: str) -> bool:
        """Return whether duplicates stay: in splits to measure with, as they are given."""
        return split != "train" and not (split == "validation" and self.cuts_validation)

    def name(self, hashes: Hashes, sequence: pa.StringArray) -> dict[int, str]:
        """See SplitPlan: some leaks."""
        found = np.flatnonzero(np.isin(hashes, self.leaks.hashes[:_MAX_KEPT]))
        texts = sequence.take(pa.array(found)).to_pylist()
        return {
            number: text[:_NAME_CHARACTERS]
            for number, text in zip(hashes[found].tolist(), texts, strict=True)
        }

    def check(self, named: Mapping[int, str]) -> None:
        """See SplitPlan: with `--leaks fail` there is no leak, and not all rows are train rows."""
        if self.options.leaks == FAIL and len(self.leaks.hashes):
            raise DataError(
                f"{self._describe(named)}; --leaks drop-from-train rejects those among the train "
                "rows, --leaks report keeps all"
            )
        if self.options.columns and self.leaks.present == 1 << TRAIN:
            flag, name = self.options.columns[0]
            raise DataError(
                f"all rows are train rows by {flag} {name}: leave it out to split them by --split"
            )

    def check_rows(self, rows: Mapping[str, int]) -> None:
        """See SplitPlan: no split is empty that is given or cut."""
        cut = ["validation"] if self.cuts_validation else []
        for split in (*self.options.wanted, *cut):
            if not rows[split]:
                raise DataError(f"no usable row is in the {split} split ({show_counts(rows)})")

    def notes(self, named: Mapping[int, str]) -> Iterator[str]:
        """See SplitPlan: how many leaks there are."""
        if self.cuts_validation:
            yield "no validation rows are given: that split is cut from the train rows"
        if len(self.leaks.hashes):
            outcome = (
                "their train rows are rejected as in_other_split"
                if self.options.leaks == DROP_FROM_TRAIN
                else "all their rows are kept"
            )
            yield f"{self._describe(named)}; {outcome}"

    def _describe(self, named: Mapping[int, str]) -> str:
        by_splits = ", ".join(
            f"{count:,} in {names.replace('+', ' and ')}"
            for names, count in self.leaks.count().items()
        )
        shown = name_first([repr(named[number]) for number in sorted(named)], _MAX_NAMED)
        return f"sequences in more than one given split: {by_splits}, such as {shown}"


def pack_facts(hashes: Hashes, given: Places) -> Iterator[tuple[int, bytes]]:
    """Yield the distinct pairs of n rows by ranges of hashes, see `cut_ranges`.

    Args:
        hashes: (n,) uint64.
        given: the split of each row, (n,) int8.
    """
    hashes, given = distinct_pairs(hashes, given)
    facts = pa.RecordBatch.from_arrays([pa.array(hashes), pa.array(given)], schema=_FACTS)
    yield from cut_ranges(hashes, facts)


def find_leaks(packed: Iterable[Packed]) -> Leaks:
    """Return the leaks among the pairs of a range of hashes."""
    facts = unpack_rows(packed, _FACTS)
    hashes, given = facts["hash"].to_numpy(), facts["split"].to_numpy()
    by_split = [np.unique(hashes[given == place]) for place in range(len(SPLITS))]
    distinct, splits = np.unique(np.concatenate(by_split), return_counts=True)
    leaks = distinct[splits > 1]
    masks = np.zeros(len(leaks), np.int8)
    for place, of_split in enumerate(by_split):
        masks |= np.isin(leaks, of_split).astype(np.int8) << np.int8(place)
    present = sum(1 << place for place, of_split in enumerate(by_split) if len(of_split))
    return Leaks(leaks, masks, present)


def add_leaks(ranges: Iterable[Leaks]) -> Leaks:
    """Return the leaks of all ranges of hashes.

    Raises:
        DataError: there are more than workers can hold.
    """
    parts = [Leaks(), *ranges]
    hashes = np.concatenate([part.hashes for part in parts])
    check_exceptions(len(hashes), "sequences in more than one given split")
    order = np.argsort(hashes)
    present = np.bitwise_or.reduce([part.present for part in parts])
    return Leaks(hashes[order], np.concatenate([part.splits for part in parts])[order], present)

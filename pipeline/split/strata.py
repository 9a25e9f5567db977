"""--stratify: exact shares of the sequences of each label.

The stratum of a sequence is its label, or of several the most frequent, of equally frequent ones
the first by text. Within a stratum, sequences lie in the order of their hashes and are cut by
largest remainder. The hash at a cut is found without all hashes in one place: how many sequences of
each stratum a range of hashes has says in which range a cut is, and at which of its sequences.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from charseq.console.messages import name_first
from pipeline.rows.packing import pack_rows, unpack_rows
from pipeline.rows.spilling import Packed
from pipeline.split.plan import (
    AssignedSplits,
    Hashes,
    SplitPlan,
    check_exceptions,
    cut_ranges,
    look_up,
)

_MAX_NAMED = 20
_NAME_CHARACTERS = 40
_FACTS = pa.schema([("hash", pa.uint64()), ("label", pa.string()), ("rows", pa.int64())])
STRATA = pa.schema([("hash", pa.uint64()), ("label", pa.string())])


class RangeCounts(NamedTuple):
    """The sequences of a range of hashes: how many each stratum has, and those of several labels.

    several: packed, of schema STRATA.
    """

    number: int
    sequences: dict[str, int]
    several: bytes


class RangeStrata(NamedTuple):
    """The strata of a range; packed: of schema STRATA, in the order of hashes."""

    counts: RangeCounts
    packed: bytes


class Cut(NamedTuple):
    """Where a split after the first begins in a stratum: at the sequence number `rank`."""

    label: str
    split: int
    rank: int


@dataclass(frozen=True)
class Cuts:
    """Where the splits of k strata begin.

    labels: of the strata, (k,) string. first: the least hash of each split but the first, (k, n)
    uint64. is_there: whether there is one, (k, n) bool.
    """

    labels: pa.StringArray
    first: npt.NDArray[np.uint64]
    is_there: npt.NDArray[np.bool_]

    def split(self, stratum: npt.NDArray[np.int64], hashes: Hashes) -> npt.NDArray[np.int8]:
        """Return the place of the split of rows, (n,) int8, of strata (n,) and hashes (n,)."""
        behind = self.is_there[stratum] & (hashes[:, None] >= self.first[stratum])
        split: npt.NDArray[np.int8] = behind.sum(axis=1).astype(np.int8)
        return split

    def to_json(self) -> dict[str, list[str | None]]:
        """Return where validation and test begin in each stratum: hashes of 16 hex digits."""
        return {
            label: [f"{first:016x}" if there else None for first, there in zip(*both, strict=True)]
            for label, *both in zip(
                self.labels.to_pylist(), self.first.tolist(), self.is_there.tolist(), strict=True
            )
        }

    @classmethod
    def from_json(cls, strata: Mapping[str, Sequence[str | None]]) -> Cuts:
        """Return the cuts that `to_json` returned."""
        texts = list(strata.values())
        first = [[int(text or "0", 16) for text in of_label] for of_label in texts]
        is_there = [[text is not None for text in of_label] for of_label in texts]
        return cls(
            pa.array(list(strata), pa.string()),
            np.array(first, np.uint64),
            np.array(is_there, np.bool_),
        )


@dataclass(frozen=True)
class StratifiedSplits(SplitPlan):
    """Each row in the split of its sequence's stratum and hash.

    cuts: of all strata. several: the sequences with several labels, (m,) uint64, ascending.
    stratum_of_several: their positions in the labels of `cuts`, (m,). few: the labels with fewer
    sequences than there are splits.
    """

    cuts: Cuts
    several: Hashes
    stratum_of_several: npt.NDArray[np.int64]
    few: tuple[str, ...]

    def assign(self, rows: pa.RecordBatch, hashes: Hashes) -> AssignedSplits:
        """See SplitPlan."""
        # A label that is no stratum has only sequences that count with another label.
        stratum = pc.index_in(rows["label"], value_set=self.cuts.labels).fill_null(0).to_numpy()
        if len(self.several):
            place, is_several = look_up(self.several, hashes)
            stratum = np.where(is_several, self.stratum_of_several[place], stratum)
        split = self.cuts.split(stratum, hashes)
        return AssignedSplits(split, np.zeros(len(hashes), np.bool_))

    def notes(self, named: Mapping[int, str]) -> Iterator[str]:
        """See SplitPlan."""
        if self.few:
            shown = [repr(label[:_NAME_CHARACTERS]) for label in self.few]
            yield (
                f"labels with fewer sequences than splits: {len(shown):,}: "
                f"{name_first(shown, _MAX_NAMED)}"
            )
        if len(self.several):
            yield (
                f"sequences with several labels: {len(self.several):,}; --stratify counts each "
                "with its most frequent label"
            )


def pack_facts(hashes: Hashes, label: pa.StringArray) -> Iterator[tuple[int, bytes]]:
    """Yield how often each pair of n rows occurs, by ranges of hashes, see `cut_ranges`.

    Args:
        hashes: (n,) uint64.
        label: (n,) string.
    """
    table = pa.table({"hash": hashes, "label": label}).group_by(["hash", "label"])
    pairs = table.aggregate([([], "count_all")]).sort_by("hash").combine_chunks()
    columns = [pairs[name].combine_chunks() for name in ("hash", "label", "count_all")]
    facts = pa.RecordBatch.from_arrays(columns, schema=_FACTS)
    yield from cut_ranges(facts["hash"].to_numpy(), facts)


def find_strata(number: int, packed: Iterable[Packed]) -> RangeStrata:
    """Return the stratum of each sequence in range `number` of the hashes."""
    facts = pa.Table.from_batches([unpack_rows(packed, _FACTS)])
    pairs = facts.group_by(["hash", "label"]).aggregate([("rows", "sum")])
    order = [("hash", "ascending"), ("rows_sum", "descending"), ("label", "ascending")]
    pairs = pairs.sort_by(order).combine_chunks()
    hashes = pairs["hash"].to_numpy()
    is_first = np.append(True, hashes[1:] != hashes[:-1])[: len(hashes)]
    is_alone = is_first & np.append(is_first[1:], True)
    strata, several = (
        _to_batch(pairs.filter(pa.array(chosen))) for chosen in (is_first, is_first & ~is_alone)
    )
    counted = pc.value_counts(strata["label"])
    sequences = {value["values"]: value["counts"] for value in counted.to_pylist()}
    return RangeStrata(RangeCounts(number, sequences, pack_rows(several)), pack_rows(strata))


def _to_batch(pairs: pa.Table) -> pa.RecordBatch:
    columns = [pairs[name].combine_chunks() for name in STRATA.names]
    return pa.RecordBatch.from_arrays(columns, schema=STRATA)


def plan_cuts(
    ranges: Iterable[RangeCounts], fractions: Mapping[str, Fraction]
) -> dict[int, list[Cut]]:
    """Return the cuts in each range of hashes, by its number."""
    cuts: dict[int, list[Cut]] = {}
    by_label: dict[str, list[tuple[int, int]]] = {}
    for counts in sorted(ranges):
        for label, sequences in counts.sequences.items():
            by_label.setdefault(label, []).append((counts.number, sequences))
    totals = {label: sum(count for _, count in by_label[label]) for label in sorted(by_label)}
    for label, shares in share_out_all(totals, list(fractions.values())).items():
        of_ranges = by_label[label]
        for split in range(1, len(shares)):
            rank = sum(shares[:split])
            for number, count in of_ranges:
                if rank < count:
                    cuts.setdefault(number, []).append(Cut(label, split, rank))
                    break
                rank -= count
    return cuts


def share_out_all(counts: Mapping[str, int], fractions: Sequence[Fraction]) -> dict[str, list[int]]:
    """Return the count of each label cut by largest remainder.

    Of equal remainders, those of a label begin where those of the label before ended: else the
    first of equal folds would get what is left of every label.
    """
    shares, first = {}, 0
    for label, count in counts.items():
        shares[label] = share_out(count, fractions, first)
        first += count - sum(int(count * fraction) for fraction in fractions)
    return shares


def share_out(count: int, fractions: Sequence[Fraction], first: int = 0) -> list[int]:
    """Return `count` cut by largest remainder; equal remainders are served from `first` on."""
    shares = [int(count * fraction) for fraction in fractions]
    places = sorted(
        range(len(shares)),
        key=lambda place: (
            shares[place] - count * fractions[place],
            (place - first) % len(shares),
        ),
    )
    for place in places[: count - sum(shares)]:
        shares[place] += 1
    return shares


def find_cuts(strata: RangeStrata, cuts: Sequence[Cut]) -> list[tuple[str, int, int]]:
    """Return the label, the split and its first hash of each cut in a range."""
    if not cuts:
        return []
    rows = unpack_rows([strata.packed], STRATA)
    labels = rows["label"].dictionary_encode()
    codes = labels.indices.to_numpy()
    order = np.argsort(codes, kind="stable")
    start = np.searchsorted(codes[order], np.arange(len(labels.dictionary)))
    start_of_label = dict(zip(labels.dictionary.to_pylist(), start.tolist(), strict=True))
    hashes = rows["hash"].to_numpy()[order]
    return [
        (cut.label, cut.split, int(hashes[start_of_label[cut.label] + cut.rank])) for cut in cuts
    ]


def make_plan(
    ranges: Sequence[RangeCounts],
    found: Iterable[list[tuple[str, int, int]]],
    fractions: Mapping[str, Fraction],
) -> StratifiedSplits:
    """Return the plan from the counts of all ranges, and the cuts that were found.

    Raises:
        DataError: more sequences have several labels than workers can hold.
    """
    totals: dict[str, int] = {}
    for counts in ranges:
        for label, sequences in counts.sequences.items():
            totals[label] = totals.get(label, 0) + sequences
    names = sorted(totals)
    place = {label: number for number, label in enumerate(names)}
    first = np.zeros((len(names), len(fractions) - 1), np.uint64)
    is_there = np.zeros(first.shape, np.bool_)
    for cuts in found:
        for label, split, number in cuts:
            first[place[label], split - 1] = number
            is_there[place[label], split - 1] = True
    several = unpack_rows([counts.several for counts in ranges], STRATA)
    check_exceptions(len(several), "sequences with several labels")
    order = np.argsort(several["hash"].to_numpy())
    labels = pa.array(names, pa.string())
    splits = sum(fraction > 0 for fraction in fractions.values())
    return StratifiedSplits(
        Cuts(labels, first, is_there),
        several["hash"].to_numpy()[order],
        pc.index_in(several["label"], value_set=labels).to_numpy()[order].astype(np.int64),
        tuple(label for label in names if totals[label] < splits),
    )

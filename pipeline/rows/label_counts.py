"""How many rows each label has in each split; the counts of blocks add up to those of the input."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from charseq.console.messages import name_first
from charseq.manifest import SPLITS
from pipeline.rows.hashing import hash_sequences
from pipeline.rows.packing import pack_rows, unpack_rows

# Up to here labels are counted exactly, in some 200 MB; an input with more of them is refused.
MAX_COUNTED_LABELS = 1 << 21
_NAME_CHARACTERS = 40
_PACKED = pa.schema(
    [("name", pa.string()), ("hash", pa.uint64()), *((split, pa.int64()) for split in SPLITS)]
)


def _no_names() -> pa.StringArray:
    return pa.array([], pa.string())


def _no_hashes() -> npt.NDArray[np.uint64]:
    return np.zeros(0, np.uint64)


def _no_rows() -> npt.NDArray[np.int64]:
    return np.zeros((0, len(SPLITS)), np.int64)


@dataclass(frozen=True)
class LabelCounts:
    """The rows of k labels, by split; if there are more labels, the least `MAX_COUNTED_LABELS`.

    name: (k,) string, the label, cut at `_NAME_CHARACTERS`. hash: (k,) uint64, of the whole label,
    ascending. rows: (k, 3) int64, in the order of SPLITS.
    """

    name: pa.StringArray = field(default_factory=_no_names)
    hash: npt.NDArray[np.uint64] = field(default_factory=_no_hashes)
    rows: npt.NDArray[np.int64] = field(default_factory=_no_rows)

    def __reduce__(self) -> tuple[Callable[[bytes], LabelCounts], tuple[bytes]]:
        # Runners hold several copies of what passes from step to step, with a million labels, too.
        columns = [self.name, self.hash, *self.rows.T]
        return _unpack, (pack_rows(pa.RecordBatch.from_arrays(columns, schema=_PACKED)),)

    def __len__(self) -> int:
        return len(self.hash)

    @property
    def total(self) -> npt.NDArray[np.int64]:
        """(k,) int64: the rows of each label in all splits."""
        total: npt.NDArray[np.int64] = self.rows.sum(axis=1)
        return total

    @property
    def is_in_train(self) -> npt.NDArray[np.bool_]:
        """(k,) bool: whether a label has a row in the train split."""
        return self.rows[:, 0] > 0

    def rows_of_splits(self) -> dict[str, int]:
        """Return the rows of all labels by split, in the order of SPLITS."""
        return dict(zip(SPLITS, self.rows.sum(axis=0).tolist(), strict=True))

    def where(self, chosen: npt.NDArray[np.bool_]) -> LabelCounts:
        """Return the counts of the labels for which `chosen`, (k,) bool, is true."""
        return LabelCounts(self.name.filter(pa.array(chosen)), self.hash[chosen], self.rows[chosen])

    def joined(self, name: str) -> LabelCounts:
        """Return the counts of all labels as those of one, `name`; none if there is no label."""
        if not len(self):
            return self
        label = pa.array([name], pa.string())
        rows = self.rows.sum(axis=0, keepdims=True)
        return LabelCounts(_cut_names(label), hash_labels(label), rows)

    def by_name(self, whole: Sequence[str]) -> dict[str, int]:
        """Return the rows of the labels whose name is whole.

        Args:
            whole: names that are not cut, of labels that may be among these.
        """
        names = {
            number: name
            for number, name in zip(self.hash.tolist(), self.name.to_pylist(), strict=True)
            if len(name) < _NAME_CHARACTERS
        }
        hashes = hash_labels(pa.array(whole, pa.string())).tolist()
        names |= dict(zip(hashes, whole, strict=True))
        rows = zip(self.hash.tolist(), self.total.tolist(), strict=True)
        return {names[number]: count for number, count in rows if number in names}

    def describe(self, max_named: int) -> str:
        """Return the labels with the most rows, and how many others there are, as text."""
        order = sorted(zip((-self.total).tolist(), self.name.to_pylist(), strict=True))
        return name_first([f"{name!r} ({-rows:,})" for rows, name in order], max_named)


def _unpack(packed: bytes) -> LabelCounts:
    name, hashes, *rows = unpack_rows([packed], _PACKED).columns
    return LabelCounts(name, hashes.to_numpy(), np.stack([each.to_numpy() for each in rows], 1))


def count_labels(label: pa.StringArray, split: npt.NDArray[np.integer]) -> LabelCounts:
    """Return the counts of n rows.

    Args:
        label: (n,) string, none of them empty.
        split: (n,) integers, the place of the row's split in SPLITS.
    """
    encoded = label.dictionary_encode()
    place = encoded.indices.to_numpy() * len(SPLITS) + split
    num_labels = len(encoded.dictionary)
    rows = np.bincount(place, minlength=num_labels * len(SPLITS))
    counts = LabelCounts(
        _cut_names(encoded.dictionary),
        hash_labels(encoded.dictionary),
        rows.reshape(num_labels, len(SPLITS)),
    )
    return add_label_counts([counts])


def add_label_counts(counts: Iterable[LabelCounts]) -> LabelCounts:
    """Return the sum of the counts."""
    summands = [LabelCounts(), *counts]
    hashes, first, place = np.unique(
        np.concatenate([summand.hash for summand in summands]),
        return_index=True,
        return_inverse=True,
    )
    rows = np.zeros((len(hashes), len(SPLITS)), np.int64)
    np.add.at(rows, place, np.concatenate([summand.rows for summand in summands]))
    first = first[:MAX_COUNTED_LABELS]
    names = pa.concat_arrays([summand.name for summand in summands]).take(pa.array(first))
    return LabelCounts(names, hashes[:MAX_COUNTED_LABELS], rows[:MAX_COUNTED_LABELS])


def hash_labels(label: pa.StringArray) -> npt.NDArray[np.uint64]:
    """Return the hash that stands for a label in `LabelCounts`: (n,) string to (n,) uint64."""
    return hash_sequences(label, seed=0)


def _cut_names(label: pa.StringArray) -> pa.StringArray:
    return pc.utf8_slice_codeunits(label, 0, _NAME_CHARACTERS)

"""Counts of the records of a shard, added up over the slices in which it is written."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.options import Options
from pipeline.tfrecord.template import Weights
from pipeline.transform.saved_graph import Encoded


class ParityRow(NamedTuple):
    """A row as it was read, and what was written for it."""

    sequence: str
    ids: list[int]
    length: int
    label: str
    label_id: int


class ShardCounts:
    """Counts of the records that were added so far, and the rows for parity.jsonl among them.

    labels: by label id. weights: their sums by label id, of records that have any. lengths, ids:
    position i counts length or id i. unknown_characters: those of the records that are outside the
    alphabet. unknown_records: records that have no other.
    """

    def __init__(self, options: Options) -> None:
        self._unknown_id = options.unknown_id
        self.labels: npt.NDArray[np.intp] = np.zeros(0, np.intp)
        self.weights: npt.NDArray[np.float64] = np.zeros(0)
        self.lengths = np.zeros(options.num_positions + 1, np.int64)
        self.ids = np.zeros(options.unknown_id + 1, np.int64)
        self.unknown_characters: Counter[str] = Counter()
        self.unknown_records = 0
        self.parity: list[ParityRow] = []

    def add(self, rows: pa.RecordBatch, encoded: Encoded, weight: Weights | None = None) -> None:
        """Add n rows of `shuffled_schema`, and their n records; weight: (n,), or None."""
        labels = np.bincount(encoded.label, minlength=len(self.labels))
        labels[: len(self.labels)] += self.labels
        self.labels = labels
        if weight is not None:
            more = np.bincount(encoded.label, weight.astype(np.float64), len(self.labels))
            so_far = np.pad(self.weights, (0, len(self.labels) - len(self.weights)))
            self.weights = so_far + more
        self.lengths += np.bincount(encoded.length, minlength=len(self.lengths))
        self.ids += np.bincount(encoded.ids.ravel(), minlength=len(self.ids))
        unknown = encoded.ids == self._unknown_id
        self.unknown_characters.update(count_unknown(rows["sequence"], encoded.length, unknown))
        self.unknown_records += int((unknown.sum(axis=1) == encoded.length).sum())
        self.parity += _parity_rows(rows, encoded)


def count_unknown(
    sequence: pa.StringArray, length: npt.NDArray[np.int64], unknown: npt.NDArray[np.bool_]
) -> dict[str, int]:
    """Return how often each character outside the alphabet occurs.

    Args:
        sequence: (n,) string, cut at max_length.
        length: (n,) int64, in characters.
        unknown: (n, max_length) bool, where such a character stands.
    """
    rows = np.flatnonzero(unknown.any(axis=1))
    if not len(rows):
        return {}
    # The ids of these rows without padding stand one to one beside the characters of their text.
    inside = np.arange(unknown.shape[1]) < length[rows][:, None]
    text = "".join(sequence.take(pa.array(rows)).to_pylist())
    code_points = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    distinct, counts = np.unique(code_points[unknown[rows][inside]], return_counts=True)
    return dict(zip(map(chr, distinct.tolist()), counts.tolist(), strict=True))


def _parity_rows(rows: pa.RecordBatch, encoded: Encoded) -> list[ParityRow]:
    """Return the rows with a raw text, which were chosen for parity.jsonl."""
    chosen = np.flatnonzero(rows["raw"].is_valid().to_numpy(zero_copy_only=False))
    return [
        ParityRow(
            sequence=rows["raw"][i].as_py(),
            ids=encoded.ids[i].tolist(),
            length=int(encoded.length[i]),
            label=rows["label"][i].as_py(),
            label_id=int(encoded.label[i]),
        )
        for i in chosen.tolist()
    ]

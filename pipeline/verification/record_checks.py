"""What can be wrong with records by themselves, and what identifies their sequences."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from charseq.manifest import Manifest
from pipeline.tfrecord.framing import one_hot_rows

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint64]


class Records(NamedTuple):
    """Some records: the feature `sequence`, and ids (n, max_length), length (n,), label (n,) of it.

    The ids of one-hot vectors are 0 for unknown characters, too. weight: (n,) float32, or None.
    """

    sequence: npt.NDArray[np.generic]
    ids: Ints
    length: Ints
    label: Ints
    weight: npt.NDArray[np.float32] | None = None


def find_wrong_records(records: Records, manifest: Manifest) -> Iterator[tuple[str, Bools]]:
    """Yield each thing that may be wrong with n records, and where it is.

    Values must be in their range, one-hot vectors must be one-hot, and padding must begin exactly
    at the length.

    Yields:
        The problem, and (n, …) bool: true in the records, or at the positions, that have it.
    """
    ids, length, label = records.ids, records.length, records.label
    max_length, num_labels = manifest.max_length, len(manifest.labels)
    inside = _inside(records)
    yield f"length not in 1 to {max_length}", (length < 1) | (length > max_length)
    yield f"label not in 0 to {num_labels - 1}", (label < 0) | (label >= num_labels)
    if records.weight is not None:
        is_weight = np.isfinite(records.weight) & (records.weight > 0)
        yield "weight not finite and above 0", ~is_weight
    if manifest.encoding == "one_hot":
        expected = one_hot_rows(ids, manifest.alphabet_size)
        yield "a vector is not one-hot", np.not_equal(records.sequence, expected)
        yield "padding not exactly behind the length", (ids != 0) & ~inside
    else:
        yield f"id above {manifest.unknown_id}", ids > manifest.unknown_id
        yield "padding not exactly behind the length", (ids != 0) != inside


def _inside(records: Records) -> Bools:
    """Return which positions are before the length: (n, max_length) bool."""
    return np.arange(records.ids.shape[1]) < records.length[:, None]


def sequence_keys(records: Records, unknown_id: int) -> Keys:
    """Return a 64-bit key of each sequence, except those with a character outside the alphabet.

    Two of those may differ in the text and not in the ids.
    """
    unknown = (records.ids == unknown_id) | ((records.ids == 0) & _inside(records))
    ids = records.ids[~unknown.any(axis=1)]
    key = np.zeros(len(ids), np.uint64)
    for column in ids.T:
        key = (key ^ column.astype(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        key ^= key >> np.uint64(29)
    return key

"""The hashes that the index of a shard holds, of single texts: those that the pipeline computes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]

_WORD = 8  # bytes
_MASK = 2**64 - 1


def hash_text(text: str, seed: int) -> int:
    """Return the hash of a text that is not empty; see `pipeline.rows.hashing`."""
    data = text.encode("utf-8")
    state: int = _mix((seed + len(data) * 0x9E3779B97F4A7C15) & _MASK)
    for start in range(0, len(data), _WORD):
        state = _mix(state ^ int.from_bytes(data[start : start + _WORD], "little"))
    return state


def hash_pairs(hashes: Hashes, label: str, seed: int) -> Hashes:
    """Return the hashes of sequence and label, (n,) uint64, of sequences' hashes (n,) uint64."""
    pairs: Hashes = _mix(hashes ^ np.uint64(_mix(hash_text(label, seed))))
    return pairs


def _mix(value: Any) -> Any:
    """Return splitmix64's permutation of a 64-bit value, an int, or of (n,) uint64."""
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9 & _MASK
    value = (value ^ (value >> 27)) * 0x94D049BB133111EB & _MASK
    return value ^ (value >> 31)

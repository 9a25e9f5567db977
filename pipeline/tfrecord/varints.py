"""Protocol Buffers' varints of whole arrays: seven bits a byte, the lowest first.

https://protobuf.dev/programming-guides/encoding/#varints
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]


def varint_bytes(values: Ints) -> Ints:
    """Return how many bytes the varint of each value takes; the values are not negative."""
    size = np.ones(values.shape, np.int64)
    limit = 128
    while limit <= values.max(initial=0):
        size += values >= limit
        limit <<= 7
    return size


def to_varints(values: Ints, row_bytes: int) -> Bytes:
    """Return the varints of each row side by side: (n, k) int64 to (n, row_bytes) uint8.

    Args:
        values: not negative; the varints of every row take `row_bytes` bytes in all.
        row_bytes: k where every varint takes one byte.
    """
    if row_bytes == values.shape[1]:
        return values.astype(np.uint8)
    size = varint_bytes(values)[..., None]
    number = np.arange(int(size.max(initial=1)))
    groups = (values[..., None] >> (7 * number)) & 0x7F
    groups |= np.where(number < size - 1, 0x80, 0)
    return groups[number < size].astype(np.uint8).reshape(len(values), row_bytes)


def repeated_byte(byte: int, size: int) -> int:
    """Return the number whose varint has `size` bytes with `byte` in the seven bits of each."""
    return sum(byte << (7 * index) for index in range(size))

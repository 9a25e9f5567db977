"""CRC-32C (Castagnoli), as TFRecord files use it: of one record, and of many that differ little.

RFC 3720, appendix B.4; the mask is that of
https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Crcs = npt.NDArray[np.uint32]

_POLYNOMIAL = np.uint32(0x82F63B78)  # reflected


def _make_table() -> Crcs:
    """Return the CRC register after each byte 0 to 255, from a register of 0."""
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = (table >> np.uint32(1)) ^ np.where(table & 1, _POLYNOMIAL, np.uint32(0))
    return table


_TABLE = _make_table()


def crc32c(data: bytes) -> int:
    """Return the CRC-32C of `data`, a byte at a time: for templates only."""
    table = _TABLE.tolist()
    crc = 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def byte_differences(size: int) -> Crcs:
    """Return how the CRC of `size` bytes changes when byte i becomes b instead of 0.

    A CRC is linear over exclusive or: crc(x ^ y) = crc(x) ^ crc(y) ^ crc(0) for texts of one size.
    So the changes of several bytes combine by exclusive or, and each depends only on the byte and
    on how many bytes follow it. The last byte changes the register by a table entry; every byte
    that follows shifts that change once more through the register.

    Returns:
        (size, 256) uint32.
    """
    change = _TABLE
    changes = np.empty((size, 256), np.uint32)
    for index in range(size - 1, -1, -1):
        changes[index] = change
        change = _TABLE[change & 0xFF] ^ (change >> np.uint32(8))
    return changes


def mask_crc(crc: Crcs) -> Crcs:
    """Return TFRecord's masked CRC: rotated right by 15 bits, plus a constant."""
    rotated = (crc >> np.uint32(15)) | (crc << np.uint32(17))
    return rotated + np.uint32(0xA282EAD8)

"""Rows of ids to the bytes of a TFRecord file, a whole array at a time.

Records of one size differ only at known bytes. Protocol Buffers itself writes one such record, and
two that differ from it show where the ids, the length and the label stand; numpy fills those in.
The bytes are those that `tf.train.Example(...).SerializeToString(deterministic=True)` gives.

Framing: https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]

_HEADER = 12  # the size (uint64) and its masked CRC (uint32)
_FOOTER = 4  # the masked CRC of the record


@dataclass(frozen=True)
class RecordShape:
    """What fixes the bytes of a record but for its values.

    encoding ids: `sequence` holds `max_length` varints of `ids_bytes` bytes in all. one_hot: it
    holds max_length * alphabet_size float32 and `ids_bytes` is 0. length_bytes, label_bytes: the
    size of these two varints.
    """

    max_length: int
    alphabet_size: int
    ids_bytes: int
    length_bytes: int
    label_bytes: int

    @property
    def one_hot(self) -> bool:
        """Whether the sequence is floats."""
        return self.ids_bytes == 0


def one_hot_rows(ids: Ints, alphabet_size: int) -> npt.NDArray[np.float32]:
    """One-hot of ids: (n, max_length) to (n, max_length, alphabet_size) float32.

    Padding (0) and unknown (alphabet_size + 1) become rows of zeros.
    """
    table = np.zeros((alphabet_size + 2, alphabet_size), np.float32)
    table[1:-1] = np.eye(alphabet_size, dtype=np.float32)
    return table[ids]


def frame_records(
    ids: Ints, length: Ints, label: Ints, encoding: str, alphabet_size: int
) -> memoryview:
    """The bytes of a TFRecord file that holds one Example a row, in order.

    ids: (n, max_length), length: (n,), label: (n,), all int64 and not negative.
    """
    n, max_length = ids.shape
    length_bytes, label_bytes = _varint_bytes(length), _varint_bytes(label)
    ids_bytes = np.zeros(n, np.int64)
    if encoding == "ids":
        ids_bytes = _varint_bytes(ids).sum(axis=1)
    # One number for the three sizes: no varint takes more than 9 bytes.
    kinds, kind = np.unique((ids_bytes * 10 + length_bytes) * 10 + label_bytes, return_inverse=True)
    groups = [
        (
            np.flatnonzero(kind == index),
            RecordShape(max_length, alphabet_size, key // 100, key // 10 % 10, key % 10),
        )
        for index, key in enumerate(kinds.tolist())
    ]
    if len(groups) == 1:
        return _frame_equal_records(ids, length, label, groups[0][1]).data.cast("B")
    framed = [_frame_equal_records(ids[r], length[r], label[r], shape) for r, shape in groups]
    return _interleave([rows for rows, _ in groups], framed)


def _interleave(rows: list[Ints], framed: list[Bytes]) -> memoryview:
    """Put records of several sizes back in row order: framed[i] holds rows[i], one a line."""
    size = np.zeros(sum(map(len, rows)), np.int64)
    for positions, records in zip(rows, framed, strict=True):
        size[positions] = records.shape[1]
    start = np.cumsum(size) - size
    out = np.empty(int(size.sum()), np.uint8)
    for positions, records in zip(rows, framed, strict=True):
        out[start[positions][:, None] + np.arange(records.shape[1])] = records
    return out.data


def _frame_equal_records(ids: Ints, length: Ints, label: Ints, shape: RecordShape) -> Bytes:
    """Framed records of one shape: (n, bytes of a framed record) uint8."""
    template = _template(shape)
    n, size = len(ids), len(template.record)
    framed = np.empty((n, _HEADER + size + _FOOTER), np.uint8)
    framed[:] = template.framed
    record = framed[:, _HEADER:-_FOOTER]
    scalars = np.concatenate(
        [
            _varints(length[:, None], shape.length_bytes),
            _varints(label[:, None], shape.label_bytes),
        ],
        axis=1,
    )
    positions = np.concatenate([template.length_at, template.label_at])
    record[:, positions] = scalars
    checksum = np.full(n, template.checksum, np.uint32)
    for values, position in zip(scalars.T, positions, strict=True):
        checksum ^= template.difference[position][values]
    if shape.one_hot:
        row, place = np.nonzero((ids > 0) & (ids <= shape.alphabet_size))
        hot = template.sequence_at[place * shape.alphabet_size + ids[row, place] - 1]
        record[row[:, None], hot[:, None] + np.arange(4)] = _ONE
        for values, difference in zip(ids.T, template.hot_difference, strict=True):
            checksum ^= difference[values]
    else:
        packed = _varints(ids, shape.ids_bytes)
        first = template.sequence_at[0]
        record[:, first : first + shape.ids_bytes] = packed
        for values, difference in zip(packed.T, template.difference[first:], strict=False):
            checksum ^= difference[values]
    framed[:, -_FOOTER:] = _mask(checksum)[:, None].view(np.uint8)
    return framed


def _varint_bytes(values: Ints) -> Ints:
    """How many bytes each value takes as a varint."""
    size = np.ones(values.shape, np.int64)
    limit = 128
    while limit <= values.max(initial=0):
        size += values >= limit
        limit <<= 7
    return size


def _varints(values: Ints, row_bytes: int) -> Bytes:
    """Varints of each row side by side: (n, k) int64 to (n, row_bytes) uint8."""
    if row_bytes == values.shape[1]:
        return values.astype(np.uint8)
    size = _varint_bytes(values)
    number = np.arange(int(size.max(initial=1)))
    groups = (values[..., None] >> (7 * number)) & 0x7F
    groups |= np.where(number < size[..., None] - 1, 0x80, 0)
    return groups[number < size[..., None]].astype(np.uint8).reshape(len(values), row_bytes)


@dataclass(frozen=True)
class _Template:
    """A record of one shape with every variable byte zero.

    difference[i] is (256,) uint32: what a byte at i changes in the CRC. hot_difference[p] is
    (alphabet_size + 2,) uint32: what id k at position p changes, for one_hot. sequence_at: the
    first byte of each id or float.
    """

    record: bytes
    framed: Bytes
    checksum: np.uint32
    sequence_at: Ints
    length_at: Ints
    label_at: Ints
    difference: npt.NDArray[np.uint32]
    hot_difference: npt.NDArray[np.uint32]


_ONE = np.frombuffer(struct.pack("<f", 1.0), np.uint8)


@lru_cache(maxsize=256)
def _template(shape: RecordShape) -> _Template:
    base = _serialise(shape)
    at = {
        name: np.flatnonzero(base != _serialise(shape, **{name: 2}))
        for name in ("sequence", "length", "label")
    }
    blank = base.copy()
    for positions in at.values():
        blank[positions] = 0
    record = blank.tobytes()
    size = struct.pack("<Q", len(record))
    header = size + struct.pack("<I", int(_mask(np.array([crc32c(size)], np.uint32))[0]))
    difference = _crc_differences(len(record))
    return _Template(
        record=record,
        framed=np.frombuffer(header + record + bytes(_FOOTER), np.uint8),
        checksum=np.uint32(crc32c(record)),
        sequence_at=_float_starts(at["sequence"]) if shape.one_hot else at["sequence"],
        length_at=at["length"],
        label_at=at["label"],
        difference=difference,
        hot_difference=_hot_differences(shape, difference, at["sequence"]),
    )


def _float_starts(differing: Ints) -> Ints:
    """1.0 and 2.0 differ in the two upper bytes of the four; the first byte of each float."""
    return differing[::2] - 2


def _hot_differences(
    shape: RecordShape, difference: npt.NDArray[np.uint32], differing: Ints
) -> npt.NDArray[np.uint32]:
    table = np.zeros((shape.max_length, shape.alphabet_size + 2), np.uint32)
    if shape.one_hot:
        start = _float_starts(differing).reshape(shape.max_length, shape.alphabet_size)
        for offset, value in enumerate(_ONE):
            table[:, 1:-1] ^= difference[start + offset, value]
    return table


def _serialise(shape: RecordShape, sequence: int = 1, length: int = 1, label: int = 1) -> Bytes:
    """An Example in which every byte of the varints of a feature is 1, or 2."""
    import tensorflow as tf

    def ints(values: list[int]) -> tf.train.Feature:
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))

    if shape.one_hot:
        floats = [float(sequence)] * (shape.max_length * shape.alphabet_size)
        feature = tf.train.Feature(float_list=tf.train.FloatList(value=floats))
    else:
        longer, rest = divmod(shape.ids_bytes, shape.max_length)
        sizes = [longer + (index < rest) for index in range(shape.max_length)]
        feature = ints([_repeated_byte(sequence, size) for size in sizes])
    example = tf.train.Example(
        features=tf.train.Features(
            feature={
                "sequence": feature,
                "length": ints([_repeated_byte(length, shape.length_bytes)]),
                "label": ints([_repeated_byte(label, shape.label_bytes)]),
            }
        )
    )
    return np.frombuffer(example.SerializeToString(deterministic=True), np.uint8)


def _repeated_byte(byte: int, size: int) -> int:
    """The number whose varint has `size` bytes with `byte` in the lower seven bits of each."""
    return sum(byte << (7 * index) for index in range(size))


def _crc_table() -> npt.NDArray[np.uint32]:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = (table >> np.uint32(1)) ^ np.where(table & 1, np.uint32(0x82F63B78), np.uint32(0))
    return table


_CRC_TABLE = _crc_table()


def crc32c(data: bytes) -> int:
    """CRC-32C (Castagnoli, RFC 3720 appendix B.4), a byte at a time: for templates only."""
    table = _CRC_TABLE.tolist()
    crc = 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def _crc_differences(size: int) -> npt.NDArray[np.uint32]:
    """What changing byte i from 0 to b changes in the CRC of `size` bytes: (size, 256) uint32.

    CRCs are linear: the changes of several bytes combine by exclusive or.
    """
    change = _CRC_TABLE
    changes = np.empty((size, 256), np.uint32)
    for index in range(size - 1, -1, -1):
        changes[index] = change
        change = _CRC_TABLE[change & 0xFF] ^ (change >> np.uint32(8))
    return changes


def _mask(crc: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """TFRecord's masked CRC: rotated right by 15 bits, plus a constant."""
    rotated = (crc >> np.uint32(15)) | (crc << np.uint32(17))
    return rotated + np.uint32(0xA282EAD8)

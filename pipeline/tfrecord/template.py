"""Templates of framed records: the bytes that are the same in all records of one size.

Protocol Buffers itself writes a record, and again with one feature changed: where the two differ
stand the bytes of that feature. So no wire format is written down here, and the bytes are those of
`tf.train.Example(...).SerializeToString(deterministic=True)`.

A template holds that record with all variable bytes zero, and its CRC. What a byte at a place
changes in the CRC is a table, see `byte_differences`; so the CRC of a record is that of the
template, changed once for each variable byte, and no CRC of a whole record is ever computed. A
one-hot vector has four variable bytes that are 1.0 or 0.0 together: they are one table entry.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from pipeline.tfrecord.crc32c import Crcs, byte_differences, crc32c, mask_crc
from pipeline.tfrecord.varints import Bytes, Ints, repeated_byte, to_varints

HEADER_BYTES = 12  # the size (uint64) and its masked CRC (uint32)
FOOTER_BYTES = 4  # the masked CRC of the record

Weights = npt.NDArray[np.float32]

_ONE = np.frombuffer(struct.pack("<f", 1.0), np.uint8)


class VarintSizes(NamedTuple):
    """The bytes that the varints of a record take.

    ids: of all ids together; 0 in one_hot, whose floats are no varints.
    """

    ids: int
    length: int
    label: int


@dataclass(frozen=True)
class IdsField:
    """The ids of a record: varints, in one run of `size` bytes that begins at `start`.

    difference: what each byte of the run changes in the CRC, (size, 256) uint32.
    """

    start: int
    size: int
    difference: Crcs

    def write(self, records: Bytes, ids: Ints) -> Crcs:
        """Write ids (n, max_length) into `records`; return (n,) changes of the CRCs."""
        packed = to_varints(ids, self.size)
        records[:, self.start : self.start + self.size] = packed
        return _combine(self.difference, packed)


@dataclass(frozen=True)
class OneHotField:
    """The one-hot vectors of a record: floats, all of them 0.0 so far.

    starts: the first byte of each float, (max_length, alphabet_size). difference: what id k at
    position p changes in the CRC, (max_length, alphabet_size + 2) uint32; 0 for padding and
    unknown.
    """

    starts: Ints
    difference: Crcs

    def write(self, records: Bytes, ids: Ints) -> Crcs:
        """Write ids (n, max_length) into `records`; return (n,) changes of the CRCs."""
        row, position = np.nonzero((ids > 0) & (ids <= self.starts.shape[1]))
        start = self.starts[position, ids[row, position] - 1]
        records[row[:, None], start[:, None] + np.arange(len(_ONE))] = _ONE
        return _combine(self.difference, ids)


def _combine(difference: Crcs, values: Bytes | Ints) -> Crcs:
    """Return the change of the CRC by all columns of `values`, (n, k): (n,) uint32."""
    change = np.zeros(len(values), np.uint32)
    for column, differences in zip(values.T, difference, strict=True):
        change ^= differences[column]
    return change


@dataclass(frozen=True)
class Template:
    """A framed record of one size with every variable byte zero.

    checksum: the CRC of its record. scalars_at: positions in the record of the varints of length
    and label, and of the weight if there is one. scalar_difference: what each of these bytes
    changes in the CRC, (k, 256) uint32.
    """

    sizes: VarintSizes
    framed: Bytes
    checksum: np.uint32
    sequence: IdsField | OneHotField
    scalars_at: Ints
    scalar_difference: Crcs

    def write_scalars(
        self, records: Bytes, length: Ints, label: Ints, weight: Weights | None
    ) -> Crcs:
        """Write lengths, labels and weights, (n,) each, into `records`.

        Returns:
            (n,) changes of the CRCs.
        """
        columns = [
            to_varints(length[:, None], self.sizes.length),
            to_varints(label[:, None], self.sizes.label),
        ]
        if weight is not None:
            columns.append(weight.astype("<f4")[:, None].view(np.uint8))
        scalars = np.concatenate(columns, axis=1)
        records[:, self.scalars_at] = scalars
        return _combine(self.scalar_difference, scalars)


@lru_cache(maxsize=256)
def ids_template(max_length: int, has_weight: bool, sizes: VarintSizes) -> Template:
    """Return the template of records of ids."""
    blank = _make_blank(max_length, 0, has_weight, sizes)
    start = int(blank.sequence_at[0])
    difference = blank.difference[start : start + sizes.ids]
    return _frame(blank, sizes, IdsField(start, sizes.ids, difference))


@lru_cache(maxsize=256)
def one_hot_template(
    max_length: int, alphabet_size: int, has_weight: bool, sizes: VarintSizes
) -> Template:
    """Return the template of records of one-hot vectors."""
    blank = _make_blank(max_length, alphabet_size, has_weight, sizes)
    # 1.0 and 2.0 differ in the two upper bytes of the four.
    starts = (blank.sequence_at[::2] - 2).reshape(max_length, alphabet_size)
    difference = np.zeros((max_length, alphabet_size + 2), np.uint32)
    for offset, value in enumerate(_ONE):
        difference[:, 1:-1] ^= blank.difference[starts + offset, value]
    return _frame(blank, sizes, OneHotField(starts, difference))


@dataclass(frozen=True)
class _Blank:
    """A record of one size with every variable byte zero, and where its features stand.

    sequence_at, length_at, label_at, weight_at: positions in the record of the bytes that vary;
    none of a weight that there is not. difference: (bytes of the record, 256) uint32, see
    `byte_differences`.
    """

    record: bytes
    sequence_at: Ints
    length_at: Ints
    label_at: Ints
    weight_at: Ints
    difference: Crcs


def _frame(blank: _Blank, sizes: VarintSizes, sequence: IdsField | OneHotField) -> Template:
    size = struct.pack("<Q", len(blank.record))
    size_crc = int(mask_crc(np.array([crc32c(size)], np.uint32))[0])
    framed = size + struct.pack("<I", size_crc) + blank.record + bytes(FOOTER_BYTES)
    scalars_at = np.concatenate([blank.length_at, blank.label_at, blank.weight_at])
    return Template(
        sizes,
        np.frombuffer(framed, np.uint8),
        np.uint32(crc32c(blank.record)),
        sequence,
        scalars_at,
        blank.difference[scalars_at],
    )


def _make_blank(
    max_length: int, alphabet_size: int, has_weight: bool, sizes: VarintSizes
) -> _Blank:
    """Return a record without its values: of ids, or of one-hot where `sizes.ids` is 0."""
    serialize = partial(_serialize, max_length, alphabet_size, has_weight, sizes)
    record = serialize()
    features = ("sequence", "length", "label", "weight")
    sequence_at, length_at, label_at, weight_at = (
        np.flatnonzero(record != serialize(**{feature: 2})) for feature in features
    )
    blank = record.copy()
    blank[np.concatenate([sequence_at, length_at, label_at, weight_at])] = 0
    difference = byte_differences(len(blank))
    return _Blank(blank.tobytes(), sequence_at, length_at, label_at, weight_at, difference)


def _serialize(
    max_length: int,
    alphabet_size: int,
    has_weight: bool,
    sizes: VarintSizes,
    sequence: int = 1,
    length: int = 1,
    label: int = 1,
    weight: int = 1,
) -> Bytes:
    """Return an Example whose varints have these sizes, with 1 or 2 in every byte of a feature.

    Of a sequence of floats, it is their value that is 1 or 2.
    """
    if sizes.ids:
        longer, rest = divmod(sizes.ids, max_length)
        id_sizes = [longer + (index < rest) for index in range(max_length)]
        values = _int_feature([repeated_byte(sequence, size) for size in id_sizes])
    else:
        floats = [float(sequence)] * (max_length * alphabet_size)
        values = _float_feature(floats)
    feature = {
        "sequence": values,
        "length": _int_feature([repeated_byte(length, sizes.length)]),
        "label": _int_feature([repeated_byte(label, sizes.label)]),
    }
    if has_weight:
        feature["weight"] = _float_feature(struct.unpack("<f", bytes([weight] * 4)))
    example = tf.train.Example(features=tf.train.Features(feature=feature))
    return np.frombuffer(example.SerializeToString(deterministic=True), np.uint8)


def _float_feature(values: Sequence[float]) -> tf.train.Feature:
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))


def _int_feature(values: list[int]) -> tf.train.Feature:
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))

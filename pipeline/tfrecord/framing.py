"""Rows of ids to the bytes of a TFRecord file, a whole array at a time.

Protocol Buffers writes one record after the other, and that takes microseconds each. But records
of one size differ only in a few bytes whose places are known. So rows are grouped by the sizes of
their varints, which fix the size of the record; the template of each group is copied once a row;
and numpy writes a whole column of ids, lengths or labels at once. Groups whose records have
different sizes are then put back into the order of the rows.

Framing: https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details
"""

from __future__ import annotations

from functools import partial

import numpy as np
import numpy.typing as npt

from pipeline.tfrecord.crc32c import mask_crc
from pipeline.tfrecord.template import (
    FOOTER_BYTES,
    HEADER_BYTES,
    Template,
    VarintSizes,
    Weights,
    ids_template,
    one_hot_template,
)
from pipeline.tfrecord.varints import Bytes, Ints, varint_bytes


def one_hot_rows(ids: Ints, alphabet_size: int) -> npt.NDArray[np.float32]:
    """Return one-hot vectors of ids: (n, max_length) to (n, max_length, alphabet_size) float32.

    Padding (0) and unknown (alphabet_size + 1) become rows of zeros.
    """
    table = np.zeros((alphabet_size + 2, alphabet_size), np.float32)
    table[1:-1] = np.eye(alphabet_size, dtype=np.float32)
    return table[ids]


def frame_records(
    ids: Ints,
    length: Ints,
    label: Ints,
    encoding: str,
    alphabet_size: int,
    weight: Weights | None = None,
) -> memoryview:
    """Return the bytes of a TFRecord file that holds one Example per row, in order.

    Args:
        ids: (n, max_length) int64, 0 to alphabet_size + 1.
        length: (n,) int64, not negative.
        label: (n,) int64, not negative.
        encoding: ids or one_hot.
        alphabet_size: the number of characters.
        weight: (n,) float32; None for records without the feature.
    """
    n, max_length = ids.shape
    if n == 0:
        return memoryview(b"")
    has_weight = weight is not None
    if encoding == "ids":
        ids_bytes = varint_bytes(ids).sum(axis=1)
        template_of = partial(ids_template, max_length, has_weight)
    else:
        ids_bytes = np.zeros(n, np.int64)
        template_of = partial(one_hot_template, max_length, alphabet_size, has_weight)
    sizes = np.stack([ids_bytes, varint_bytes(length), varint_bytes(label)])
    # In most datasets every varint takes one byte.
    if (sizes == sizes[:, :1]).all():
        template = template_of(VarintSizes(*sizes[:, 0].tolist()))
        return _frame_group(ids, length, label, weight, template).data.cast("B")
    groups = _group_rows(sizes)
    framed = [
        _frame_group(
            ids[rows],
            length[rows],
            label[rows],
            None if weight is None else weight[rows],
            template_of(group),
        )
        for group, rows in groups.items()
    ]
    return _interleave(list(groups.values()), framed)


def _group_rows(sizes: Ints) -> dict[VarintSizes, Ints]:
    """Return the row numbers, ascending, of each combination of sizes in the columns of (3, n)."""
    order = np.lexsort(sizes)
    ordered = sizes[:, order]
    starts = np.flatnonzero((ordered[:, 1:] != ordered[:, :-1]).any(axis=0)) + 1
    return {VarintSizes(*sizes[:, rows[0]].tolist()): rows for rows in np.split(order, starts)}


def _frame_group(
    ids: Ints, length: Ints, label: Ints, weight: Weights | None, template: Template
) -> Bytes:
    """Return the framed records of rows of one size: (n, bytes of a framed record) uint8."""
    framed = np.empty((len(ids), len(template.framed)), np.uint8)
    framed[:] = template.framed
    records = framed[:, HEADER_BYTES:-FOOTER_BYTES]
    checksum = template.checksum ^ template.write_scalars(records, length, label, weight)
    checksum ^= template.sequence.write(records, ids)
    framed[:, -FOOTER_BYTES:] = mask_crc(checksum)[:, None].view(np.uint8)
    return framed


def _interleave(rows: list[Ints], framed: list[Bytes]) -> memoryview:
    """Return records of several sizes in the order of their rows.

    Args:
        rows: the row numbers of each group.
        framed: the framed records of each group, (rows, bytes) uint8.
    """
    size = np.zeros(sum(map(len, rows)), np.int64)
    for positions, records in zip(rows, framed, strict=True):
        size[positions] = records.shape[1]
    start = np.cumsum(size) - size
    out = np.empty(int(size.sum()), np.uint8)
    for positions, records in zip(rows, framed, strict=True):
        out[start[positions][:, None] + np.arange(records.shape[1])] = records
    return out.data

"""Prepare rows with a single-threaded program: close to the limit of what Python can reach.

It uses no Beam, does not shuffle and learns nothing. It works on whole columns: pyarrow parses and
cuts, numpy encodes, and tfx_bsl's C++ RecordBatchToExamplesEncoder serializes the Examples, the
fastest library for it: tf.train.Example takes more than ten times as long. The only step per row
is tf.io.TFRecordWriter, which has no batch interface.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import tensorflow as tf
from tfx_bsl.coders.example_coder import RecordBatchToExamplesEncoder

from benchmarks.peers.common import (
    MAX_LENGTH,
    SPLITS,
    add_encoding,
    add_vocabulary,
    peer_parser,
)

Ints = npt.NDArray[np.int64]

SHARES = (0.8, 0.1, 0.1)
BATCH_ROWS = 16_384


def make_table(alphabet: str) -> Ints:
    """The id of every code point: (0x110000,) int64."""
    table = np.full(sys.maxunicode + 1, len(alphabet) + 1, np.int64)
    table[[ord(character) for character in alphabet]] = np.arange(1, len(alphabet) + 1)
    return table


def encode(sequence: pa.StringArray, table: Ints) -> tuple[Ints, Ints]:
    """Ids (n, MAX_LENGTH) and lengths (n,) of a column of text."""
    cut = pc.utf8_slice_codeunits(sequence, 0, MAX_LENGTH)
    length = pc.utf8_length(cut).to_numpy().astype(np.int64)
    text = cut.buffers()[2].to_pybytes()[: pc.sum(pc.binary_length(cut)).as_py()].decode()
    code_points = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    ids = np.zeros((len(cut), MAX_LENGTH), np.int64)
    ids[np.arange(MAX_LENGTH) < length[:, None]] = table[code_points]
    return ids, length


def one_hot(ids: Ints, alphabet_size: int) -> npt.NDArray[np.float32]:
    """Ids (n, MAX_LENGTH) to (n, MAX_LENGTH, alphabet_size); padding and unknown are zero."""
    rows = np.zeros((alphabet_size + 2, alphabet_size), np.float32)
    rows[1:-1] = np.eye(alphabet_size)
    return rows[ids]


def to_lists(values: npt.NDArray[np.generic]) -> pa.LargeListArray:
    """Any array, (n, …), as a column of n flat lists."""
    width = values.size // len(values)
    offsets = np.arange(len(values) + 1, dtype=np.int64) * width
    return pa.LargeListArray.from_arrays(offsets, values.reshape(-1))


def encode_columns(
    rows: pa.RecordBatch, table: Ints, labels: pa.StringArray, encoding: str
) -> pa.RecordBatch:
    """Text columns `sequence` and `label` to the three columns of an Example."""
    ids, length = encode(rows["sequence"], table)
    label = pc.index_in(rows["label"], value_set=labels).to_numpy().astype(np.int64)
    sequence = one_hot(ids, int(table[-1]) - 1) if encoding == "one_hot" else ids
    return pa.RecordBatch.from_arrays(
        [to_lists(sequence), to_lists(length), to_lists(label)], ["sequence", "length", "label"]
    )


def run(input_path: str, output: str, alphabet: str, labels: Sequence[str], encoding: str) -> None:
    """Read, encode and write a batch at a time; each row's split is drawn at random."""
    table, known = make_table(alphabet), pa.array(labels)
    serialise = RecordBatchToExamplesEncoder().encode
    draw = np.random.default_rng(0)
    with ExitStack() as files:
        writers = [tf.io.TFRecordWriter(f"{output}/{split}.tfrecord") for split in SPLITS]
        write = [files.enter_context(writer).write for writer in writers]
        for rows in pyarrow.csv.read_csv(input_path).to_batches(BATCH_ROWS):
            examples = serialise(encode_columns(rows, table, known, encoding))
            splits = draw.choice(len(SPLITS), len(examples), p=SHARES).tolist()
            for example, split in zip(examples, splits, strict=True):
                write[split](example)


def main(argv: Sequence[str] | None = None) -> int:
    """Run as the command line says."""
    parser = peer_parser(__doc__)
    add_encoding(parser)
    add_vocabulary(parser)
    arguments = parser.parse_args(argv)
    os.makedirs(arguments.output, exist_ok=True)
    run(
        arguments.input,
        arguments.output,
        arguments.alphabet,
        arguments.labels.split(","),
        arguments.encoding,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())

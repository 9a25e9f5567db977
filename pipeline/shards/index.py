"""The index of a shard: which rows it has, so that later rows are compared with it unread."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.rows.hashing import hash_sequences, mix
from pipeline.runtime.filesystems import create, open_file
from pipeline.shards.ordering import OrderedRows

Hashes = npt.NDArray[np.uint64]


def hash_pairs(hashes: Hashes, label: pa.StringArray, seed: int) -> Hashes:
    """Return a 64-bit hash of sequence and label of n rows: (n,) uint64.

    Args:
        hashes: of the sequences, (n,) uint64.
        label: (n,) string, none of them empty.
        seed: of the hash.
    """
    labels = label.dictionary_encode()
    of_label = mix(hash_sequences(labels.dictionary, seed))
    return mix(hashes ^ of_label[labels.indices.to_numpy()])


def write_index(path: str, ordered: OrderedRows, seed: int) -> str:
    """Write the index of ordered rows, and return the path; see `charseq.manifest.index_path`."""
    pairs = hash_pairs(ordered.hashes, ordered.rows["label"], seed)
    with create(path) as file:
        np.save(file, np.stack([ordered.hashes, pairs], axis=1).astype("<u8"), allow_pickle=False)
    return path


def read_index(path: str) -> tuple[Hashes, Hashes]:
    """Return the hashes of the sequences, ascending, and those of sequence and label."""
    with open_file(path) as file:
        index = np.load(file, allow_pickle=False)
    return index[:, 0], index[:, 1]

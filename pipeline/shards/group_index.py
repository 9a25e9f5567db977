"""The index of groups: in which split the rows of each are, for rows that are added later."""

from __future__ import annotations

import uuid

import numpy as np
import numpy.typing as npt
from apache_beam.io.filesystems import FileSystems

from charseq.manifest import GROUP_INDEX_FILE
from pipeline.base import Base
from pipeline.runtime.filesystems import create
from pipeline.shards.known_rows import read_array

Hashes = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int8]


def write_group_index(staging: str, groups: Hashes, split: Places) -> str:
    """Write a `.npy` file of (k, 2) uint64, and return its path.

    Args:
        staging: the directory to write to.
        groups: hashes of all k groups, ascending.
        split: the place of each group's split in SPLITS; those below 0 are left out.
    """
    path = FileSystems.join(staging, f"groups-{uuid.uuid4().hex}")
    index = np.stack([groups, split.astype(np.uint64)], axis=1)[split >= 0]
    with create(path) as file:
        np.save(file, index.astype("<u8"), allow_pickle=False)
    return str(path)


def find_groups(base: Base, groups: Hashes) -> tuple[Hashes, Places]:
    """Return those of some groups that a base has, and the place of the split of each.

    Raises:
        DataError: an index cannot be read, or has changed.
    """
    found = [np.zeros((0, 2), np.uint64)]
    for member in base.members:
        index = read_array(member, GROUP_INDEX_FILE)
        found.append(index[np.isin(index[:, 0], groups)])
    known = np.concatenate(found)
    return known[:, 0], known[:, 1].astype(np.int8)

"""How many rows that two models are compared on one of them was trained on.

Rows are told by the hashes of their sequences, in the index of each shard.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from charseq.chain import split_name
from charseq.errors import DataError
from charseq.files import damage_as_data_error
from charseq.manifest import Manifest, index_path
from charseq.models.saved_model import RUN_ASSET
from trainer.config import data_from_json
from trainer.data.dataset import Dataset, open_datasets
from trainer.promote.lineage import read_model_json

Hashes = npt.NDArray[np.uint64]


def count_trained_on(saved_model: str, dataset: Dataset, split: str) -> int:
    """Return how many rows of a split have a sequence that a model was trained on.

    Args:
        saved_model: the path of the model, whose datasets are looked for where they were then.
        dataset: that has the rows.
        split: of the rows.

    Raises:
        DataError: it cannot be known; the message says why.
    """
    run = read_model_json(saved_model, RUN_ASSET)
    with damage_as_data_error(os.path.join(saved_model, RUN_ASSET), "a run.json of a training"):
        addresses = data_from_json(run["options"]["data"])
        fold, fingerprint = run["options"].get("fold"), run["dataset"]["fingerprint"]
    with open_datasets(addresses) as whole:
        trained_on = whole.of_fold(fold)
        if trained_on.manifest.fingerprint != fingerprint:
            raise DataError(f"{whole.directory} is another dataset now")
        if _hashing(trained_on.manifest) != _hashing(dataset.manifest):
            raise DataError(f"{whole.directory} has another seed, length or normalization")
        try:
            rows = np.concatenate([np.zeros(0, np.uint64), *_read_hashes(dataset, split)])
            return count_seen(rows, _read_hashes(trained_on, "train"))
        except (OSError, ValueError) as error:
            raise DataError(f"an index cannot be read: {error}") from error


def count_seen(rows: Hashes, blocks: Iterable[Hashes]) -> int:
    """Return how many of the hashes `rows` are in one of the blocks, each of them ascending."""
    distinct, counts = np.unique(rows, return_counts=True)
    seen = np.zeros(len(distinct), bool)
    for block in blocks:
        places = np.searchsorted(block, distinct)
        inside = places < len(block)
        seen[inside] |= block[places[inside]] == distinct[inside]
    return int(counts[seen].sum())


def _hashing(manifest: Manifest) -> tuple[object, ...]:
    """Return what the hashes of equal sequences depend on."""
    return manifest.options.get("seed"), manifest.max_length, manifest.normalization


def _read_hashes(dataset: Dataset, split: str) -> Iterator[Hashes]:
    """Yield the hashes of the sequences of each shard of a split, ascending.

    Raises:
        DataError: an index is missing, or of another number of rows.
        OSError, ValueError: it cannot be read.
    """
    for shard in dataset.manifest.shards_of(split):
        place, path_in_part = split_name(shard.path)
        part, name = dataset.parts[place], index_path(path_in_part)
        if part.files.size(name) is None:
            raise DataError(f"{part.directory} has no index of its rows")
        with part.files.local_copy(name) as path:
            index = np.load(path, allow_pickle=False)
        excluded = dataset.excluded
        kept = excluded.is_kept(shard) if excluded else np.ones(shard.records, np.bool_)
        if index.shape != (len(kept), 2):
            raise DataError(f"{part.display_path(name)} is not the index of its shard")
        yield index[kept, 0]

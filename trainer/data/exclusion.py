"""A dataset without the rows of the sequences that `--exclude` names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from hashlib import sha256
from io import BytesIO

import numpy as np

from charseq.chain import place_name
from charseq.cli import heavy_imports
from charseq.errors import DataError
from charseq.exclusion import (
    Excluded,
    Records,
    find_records,
    prepared_sequences,
    read_exclusion_file,
    view_without,
)
from charseq.manifest import MANIFEST_FILE, Shard, index_path
from charseq.text.hashing import Hashes, hash_text
from trainer.data.dataset import Dataset


def exclude_rows(dataset: Dataset, path: str) -> Dataset:
    """Return a dataset, or a chain, without the rows of the sequences in the file at `path`.

    Raises:
        DataError: the file cannot be read or is not UTF-8; the dataset has no index of its rows, or
            one that has changed; its records have weights; or a split has no other rows.
    """
    file = read_exclusion_file(path)
    for part in dataset.parts:
        _check_can_exclude(part)
    normalization = dataset.manifest.normalization
    needs_graph = normalization.lowercase or normalization.strip
    with heavy_imports() if needs_graph else nullcontext():
        sequences = prepared_sequences(file.texts, dataset.manifest)
    records = dict(_find_all(dataset, sequences))
    found = {sequence for each in records.values() for sequence in each.sequences}
    manifest = view_without(dataset.manifest, records, dataset.directory)
    positions = {path: each.positions for path, each in records.items()}
    excluded = Excluded(file.sha256, positions, len(found), len(sequences) - len(found))
    return replace(dataset, manifest=manifest, excluded=excluded)


def _find_all(dataset: Dataset, sequences: tuple[str, ...]) -> Iterator[tuple[str, Records]]:
    """Yield the path of each shard that has records of some sequences, and these."""
    for place, part in enumerate(dataset.parts):
        manifest, seed = part.manifest, part.manifest.options["seed"]
        by_hash = {hash_text(sequence, seed): sequence for sequence in sequences}
        for shard in manifest.shards:
            index = _read_index(part, shard)
            try:
                records = find_records(index, by_hash, manifest.labels, seed)
            except ValueError as error:
                where = part.display_path(index_path(shard.path))
                raise DataError(f"{where}: not the index of its shard: {error}") from error
            if len(records.positions):
                yield place_name(place, shard.path) if dataset.members else shard.path, records


def _check_can_exclude(dataset: Dataset) -> None:
    manifest = dataset.manifest
    if manifest.label_weights is not None:
        raise DataError(
            f"--exclude: the rows of {dataset.directory} have weights, which its index does not "
            "hold: prepare it again without these rows"
        )
    listed = {file.path for file in manifest.files}
    if not all(index_path(shard.path) in listed for shard in manifest.shards):
        raise DataError(
            f"--exclude: {dataset.directory} was prepared by a version that kept no index: prepare "
            "it again"
        )


def _read_index(dataset: Dataset, shard: Shard) -> Hashes:
    """Return the index of a shard, (records, 2) uint64.

    Raises:
        DataError: it is not there, or has changed.
    """
    name = index_path(shard.path)
    path = dataset.display_path(name)
    if dataset.files.size(name) is None:
        raise DataError(f"{path}: no such file, but {MANIFEST_FILE} names it")
    with dataset.files.local_copy(name) as copy, open(copy, "rb") as file:
        content = file.read()
    expected = next(file.sha256 for file in dataset.manifest.files if file.path == name)
    if sha256(content).hexdigest() != expected:
        raise DataError(
            f"{path}: changed after the preparation: its SHA-256 is not that in {MANIFEST_FILE}; "
            "prepare the dataset again"
        )
    index: Hashes = np.load(BytesIO(content), allow_pickle=False)
    if index.shape != (shard.records, 2):
        raise DataError(f"{path}: not the index of its shard: {len(index):,} rows")
    return index

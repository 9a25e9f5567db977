"""A prepared dataset as the trainer reads it: its manifest, and where its files are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from charseq.errors import DataError
from charseq.manifest import MANIFEST_FILE, Manifest, Shard, parse_manifest
from trainer.data.files import Files, LocalFiles, open_files


@dataclass(frozen=True)
class Dataset:
    """A complete dataset, all of whose shards have the size that its manifest says."""

    manifest: Manifest
    files: Files

    @property
    def directory(self) -> str:
        """The dataset as the user named it: a local directory or an address."""
        return self.files.address

    def path(self, name: str) -> str:
        """Return the local path of a file that is no shard, named relative to the dataset."""
        return self.files.path(name)

    def display_path(self, name: str) -> str:
        """Return where a user finds a file of the dataset."""
        return os.path.join(self.directory, name)

    def check_not_empty(self, split: str) -> None:
        """Check that a split has a record.

        Raises:
            DataError: it has none.
        """
        if not self.manifest.records(split):
            raise DataError(f"{self.directory}: its split {split!r} has no row")


@contextmanager
def open_dataset(address: str) -> Iterator[Dataset]:
    """Open a dataset in a local directory or an object store; it can be read inside the block.

    Raises:
        UsageError: the address is of an unknown kind.
        DataError: as `read_dataset`, or the store cannot be reached or denies access.
    """
    with open_files(address) as files:
        yield _read(files)


def read_dataset(directory: str) -> Dataset:
    """Read the manifest of a dataset in a local directory and check its shards.

    Raises:
        DataError: there is no manifest, it cannot be read or is of a newer format, or a shard is
            missing or of another size.
    """
    return _read(LocalFiles(directory))


def _read(files: Files) -> Dataset:
    dataset = Dataset(_read_manifest(files), files)
    for shard in dataset.manifest.shards:
        _check_shard(dataset.display_path(shard.path), files.size(shard.path), shard)
    return dataset


def _read_manifest(files: Files) -> Manifest:
    if not files.exists():
        raise DataError(f"{files.address}: no such directory")
    if files.size(MANIFEST_FILE) is None:
        raise DataError(
            f"{files.address} holds no {MANIFEST_FILE}: not a dataset, "
            "or its preparation did not finish"
        )
    with open(files.path(MANIFEST_FILE), "rb") as file:
        return parse_manifest(file.read(), os.path.join(files.address, MANIFEST_FILE))


def _check_shard(path: str, size: int | None, shard: Shard) -> None:
    if size is None:
        raise DataError(f"{path}: no such file, but {MANIFEST_FILE} names it as a shard")
    if size != shard.bytes:
        raise DataError(f"{path}: got {size} bytes, expected {shard.bytes} by {MANIFEST_FILE}")

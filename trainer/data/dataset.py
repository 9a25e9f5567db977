"""A prepared dataset as the trainer reads it: its manifest, and where its files are."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from charseq.chain import Named, merge, order_chain, split_name
from charseq.errors import DataError
from charseq.files import FileDigest, sha256_of_file, sha256_of_json
from charseq.folds import view_fold
from charseq.manifest import MANIFEST_FILE, Manifest, check_shard, parse_manifest
from trainer.data.files import ChainFiles, Files, LocalFiles, open_files

if TYPE_CHECKING:
    from charseq.exclusion import Excluded

_REPLACED = (
    "the rows of two datasets may have been read; begin anew with the dataset that is there now"
)

# What to know of scores on validation rows.
CHOSE_EPOCH = "by which the epoch of a model is chosen"


@dataclass(frozen=True)
class Dataset:
    """A complete dataset, all of whose shards have the size that its manifest says.

    manifest_bytes: the content of its `dataset.json` when it was opened. members: of several
    datasets that are read as one, each of them, in the order of their chain; then the manifest is
    theirs merged, and no file. excluded: rows that are left out, which the manifest does not count;
    the members still do.
    """

    manifest: Manifest
    files: Files
    manifest_bytes: bytes
    members: tuple[Dataset, ...] = ()
    excluded: Excluded | None = None

    @property
    def parts(self) -> tuple[Dataset, ...]:
        """The datasets that are read: its members, or itself."""
        return self.members or (self,)

    @property
    def manifest_sha256(self) -> str:
        """The SHA-256 of its `dataset.json`, as `sha256sum` prints it; of a chain, of them all."""
        if self.members:
            return sha256_of_json({"chain": [member.manifest_sha256 for member in self.members]})
        return hashlib.sha256(self.manifest_bytes).hexdigest()

    @property
    def directory(self) -> str:
        """The dataset as the user named it: a local directory or an address, or several."""
        return self.files.address

    def path(self, name: str) -> str:
        """Return the local path of a file that is no shard, named relative to the dataset."""
        return self.files.path(name)

    def verified_path(self, name: str) -> str:
        """Return the local path of a file or directory whose files have the hashes of the manifest.

        Raises:
            DataError: a file is missing or has another hash. (Manifests of the first versions have
                no hashes; then nothing is checked.)
        """
        path = self.path(name)
        listed = [
            file
            for file in self.manifest.files
            if file.path == name or file.path.startswith(f"{name}/")
        ]
        if self.manifest.files and not listed:
            raise DataError(f"{self.display_path(name)}: {MANIFEST_FILE} does not name it")
        for file in listed:
            self._check_digest(file)
        return path

    def _check_digest(self, file: FileDigest) -> None:
        local, path = self.path(file.path), self.display_path(file.path)
        if not os.path.exists(local):
            raise DataError(f"{path}: no such file, but {MANIFEST_FILE} names it")
        if sha256_of_file(local) != file.sha256:
            raise DataError(
                f"{path}: changed after the preparation: its SHA-256 is not that in "
                f"{MANIFEST_FILE}; prepare the dataset again"
            )

    def check_unchanged(self) -> None:
        """Check that the dataset is the one that was opened, so that all its rows were.

        Raises:
            DataError: another one has taken its place, or is about to, or it is gone.
        """
        for member in self.members:
            member.check_unchanged()
        if self.members:
            return
        path = self.display_path(MANIFEST_FILE)
        try:
            with self.files.local_copy(MANIFEST_FILE) as copy, open(copy, "rb") as file:
                now = file.read()
        except FileNotFoundError as error:
            raise DataError(f"{path}: removed while it was used: {_REPLACED}") from error
        if now != self.manifest_bytes:
            raise DataError(f"{path}: replaced while it was used: {_REPLACED}")

    def display_path(self, name: str) -> str:
        """Return where a user finds a file of the dataset."""
        if self.members:
            place, name = split_name(name)
            return self.members[place].display_path(name)
        return os.path.join(self.directory, name)

    def of_fold(self, fold: int | None) -> Dataset:
        """Return the dataset with the splits of a fold; as it is if it has none.

        Raises:
            DataError: it has no such fold, or has folds and `fold` is None.
        """
        return replace(self, manifest=view_fold(self.manifest, fold, self.directory))

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


@contextmanager
def open_datasets(addresses: Sequence[str]) -> Iterator[Dataset]:
    """Open a dataset, or a chain of them as one dataset; it can be read inside the block.

    Raises:
        UsageError, DataError: as `open_dataset`, or several are not one chain.
    """
    with ExitStack() as stack:
        datasets = [stack.enter_context(open_dataset(address)) for address in addresses]
        yield datasets[0] if len(datasets) == 1 else chain_datasets(datasets)


def chain_datasets(datasets: Sequence[Dataset]) -> Dataset:
    """Return two or more datasets as one, in whatever order they are given.

    Raises:
        DataError: they are not one chain, or do not fit each other.
    """
    order = order_chain([Named(each.directory, each.manifest) for each in datasets])
    members = tuple(datasets[number] for number in order)
    manifest = merge([member.manifest for member in members])
    files = ChainFiles([member.files for member in members])
    return Dataset(manifest, files, manifest.to_text().encode(), members)


def read_dataset(directory: str) -> Dataset:
    """Read the manifest of a dataset in a local directory and check its shards.

    Raises:
        DataError: there is no manifest, it cannot be read or is of a newer format, or a shard is
            missing or of another size.
    """
    return _read(LocalFiles(directory))


def _read(files: Files) -> Dataset:
    content = _read_manifest(files)
    manifest = parse_manifest(content, os.path.join(files.address, MANIFEST_FILE))
    dataset = Dataset(manifest, files, content)
    for shard in dataset.manifest.shards:
        check_shard(dataset.display_path(shard.path), files.size(shard.path), shard)
    return dataset


def _read_manifest(files: Files) -> bytes:
    if not files.exists():
        raise DataError(f"{files.address}: no such directory")
    if files.size(MANIFEST_FILE) is None:
        raise DataError(
            f"{files.address} holds no {MANIFEST_FILE}: not a dataset, "
            "or its preparation did not finish"
        )
    with open(files.path(MANIFEST_FILE), "rb") as file:
        return file.read()

"""The files of a dataset: on this machine, or downloaded from an object store as they are read.

An object store is listed once, its few small files are downloaded once, and its shards a few ahead
of the reader. The copies lie in a temporary directory, which does not grow with the dataset.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cached_property
from typing import Protocol

from charseq.chain import split_name
from charseq.errors import DataError
from charseq.files import check_name
from charseq.stores.addresses import is_address
from charseq.stores.directories import Store, open_store, store_errors
from trainer.data.shard_cache import ShardCache

OPEN_SHARDS = 16
_SHARDS_AHEAD = 16
_DOWNLOADS_AT_ONCE = 8


class Files(Protocol):
    """The files of a dataset, named relative to its directory.

    download_error is kept because TensorFlow passes only a text on.
    """

    @property
    def address(self) -> str:
        """The directory as the user named it."""

    @property
    def download_error(self) -> DataError | None:
        """Why a file could not be downloaded, if one could not."""

    def exists(self) -> bool:
        """Return whether the directory exists."""

    def size(self, name: str) -> int | None:
        """Return the bytes of a file, None if there is no such file."""

    def path(self, name: str) -> str:
        """Return the local path of a small file, or of a directory of small files."""

    def shard_path(self, names: Sequence[str], index: int) -> str:
        """Return the local path of `names[index]`, which is opened at once; prepare the next."""

    def local_copy(self, name: str) -> AbstractContextManager[str]:
        """Return a context manager of the local path of a file, which stays inside the block."""


class LocalFiles:
    """The files of a dataset on this machine."""

    def __init__(self, directory: str) -> None:
        self.address = directory
        self.download_error: DataError | None = None

    def exists(self) -> bool:
        """Return whether the directory exists."""
        return os.path.exists(self.address)

    def size(self, name: str) -> int | None:
        """Return the bytes of a file, None if there is no such file."""
        path = self.path(name)
        return os.path.getsize(path) if os.path.exists(path) else None

    def path(self, name: str) -> str:
        """Return the local path of a file or a directory."""
        return os.path.join(self.address, name)

    def shard_path(self, names: Sequence[str], index: int) -> str:
        """Return the path of `names[index]`."""
        return self.path(names[index])

    def local_copy(self, name: str) -> AbstractContextManager[str]:
        """Return a context manager of the path of a file."""
        return nullcontext(self.path(name))


class ChainFiles:
    """The files of several datasets as those of one, under the names of `charseq.chain`.

    Args:
        members: the files of each dataset, in the order of the chain.
    """

    def __init__(self, members: Sequence[Files]) -> None:
        self.address = ", ".join(member.address for member in members)
        self._members = members

    @property
    def download_error(self) -> DataError | None:
        """Why a file could not be downloaded, if one could not."""
        errors = (member.download_error for member in self._members)
        return next((error for error in errors if error is not None), None)

    def _locate(self, name: str) -> tuple[Files, str]:
        place, name = split_name(name)
        return self._members[place], name

    def exists(self) -> bool:
        """Return whether all directories exist."""
        return all(member.exists() for member in self._members)

    def size(self, name: str) -> int | None:
        """Return the bytes of a file, None if there is no such file."""
        files, name = self._locate(name)
        return files.size(name)

    def path(self, name: str) -> str:
        """Return the local path of a small file, or of a directory of small files."""
        files, name = self._locate(name)
        return files.path(name)

    def shard_path(self, names: Sequence[str], index: int) -> str:
        """Return the local path of `names[index]`, which is opened at once; prepare the next."""
        place, name = split_name(names[index])
        next_names = map(split_name, names[index + 1 : index + 1 + _SHARDS_AHEAD])
        ahead = [next_name for next_place, next_name in next_names if next_place == place]
        return self._members[place].shard_path([name, *ahead], 0)

    def local_copy(self, name: str) -> AbstractContextManager[str]:
        """Return a context manager of the local path of a file, which stays inside the block."""
        files, name = self._locate(name)
        return files.local_copy(name)


class StoredFiles:
    """The files of a dataset in an object store, with copies in two local directories.

    Args:
        store: the directory of the dataset.
        directory: for the small files, each under its own name.
        shard_directory: for the shards.
        pool: runs the downloads of shards.
    """

    def __init__(
        self,
        store: Store,
        directory: str,
        shard_directory: str,
        pool: ThreadPoolExecutor,
    ) -> None:
        self.address = store.address
        self.download_error: DataError | None = None
        self._store = store
        self._directory = directory
        self._shards = ShardCache(
            self.download, shard_directory, pool, reading=OPEN_SHARDS, ahead=_SHARDS_AHEAD
        )

    @cached_property
    def _sizes(self) -> dict[str, int]:
        with self._note_errors(self.address):
            return self._store.sizes()

    def exists(self) -> bool:
        """Return whether the store has a file below the address."""
        return bool(self._sizes)

    def size(self, name: str) -> int | None:
        """Return the bytes of a file, None if there is no such file."""
        return self._sizes.get(name)

    def path(self, name: str) -> str:
        """Return the local path of a small file or directory, downloaded at the first call.

        Raises:
            DataError: the store does not deliver it, or a key would leave the directory of copies.
        """
        copy = os.path.join(self._directory, name)
        if not os.path.exists(copy):
            for each in self._sizes:
                if each == name or each.startswith(f"{name}/"):
                    check_name(each, self.address)
                    self.download(each, os.path.join(self._directory, each))
        return copy

    def shard_path(self, names: Sequence[str], index: int) -> str:
        """Return the local path of `names[index]`, to be opened at once; download the next ones.

        Raises:
            DataError: the store does not deliver it.
        """
        return self._shards.path(names, index)

    @contextmanager
    def local_copy(self, name: str) -> Iterator[str]:
        """Yield the path of a copy of a file, which is removed after the block.

        Raises:
            DataError: the store does not deliver it.
        """
        with tempfile.TemporaryDirectory(dir=self._directory) as directory:
            path = os.path.join(directory, "copy")
            self.download(name, path)
            yield path

    def download(self, name: str, path: str) -> None:
        """Write a file to a local path.

        Raises:
            DataError: the store does not deliver it.
        """
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with self._note_errors(f"{self.address}/{name}"):
            self._store.download(name, path)

    @contextmanager
    def _note_errors(self, where: str) -> Iterator[None]:
        try:
            with store_errors(self._store, where):
                yield
        except DataError as error:
            self.download_error = error
            raise


@contextmanager
def open_files(address: str) -> Iterator[Files]:
    """Open the files of a dataset; the copies of an object store's are removed after the block.

    Raises:
        UsageError: the address is of an unknown kind.
        DataError: the client of the object store is not installed.
    """
    if not is_address(address):
        yield LocalFiles(address)
        return
    store = open_store("--data", address)
    with _temporary_directory() as small, _temporary_directory() as shards:
        pool = ThreadPoolExecutor(_DOWNLOADS_AT_ONCE)
        try:
            yield StoredFiles(store, small, shards, pool)
        finally:
            pool.shutdown(cancel_futures=True)


def _temporary_directory() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="charseq-")

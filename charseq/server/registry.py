"""The registry that is served: a directory on this machine, or a copy of one in an object store.

In a store, files appear one by one. So a version is copied before `models.config` that names it,
and is checked, as any other, before it takes over.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

from charseq.errors import DataError
from charseq.files import check_name, whole_file
from charseq.models.locate import current_version, served_name
from charseq.models.saved_model import POINTER_FILE
from charseq.stores.addresses import is_address
from charseq.stores.directories import Store, open_store, store_errors


class Registry(Protocol):
    """A registry that is watched.

    address: as the user named it. directory: where it is on this machine. seconds_between_looks:
    after which it may have changed.
    """

    @property
    def address(self) -> str: ...

    @property
    def directory(self) -> str: ...

    @property
    def seconds_between_looks(self) -> float: ...

    def update(self, in_use: Collection[int]) -> None:
        """Bring the directory up to date; versions that are in use stay.

        Raises:
            DataError: it is not a registry, or a store does not deliver it.
        """


class LocalRegistry(NamedTuple):
    """A registry on this machine."""

    address: str
    seconds_between_looks: float = 1.0

    @property
    def directory(self) -> str:
        """The registry itself."""
        return self.address

    def update(self, in_use: Collection[int]) -> None:
        """Do nothing."""


class StoredRegistry:
    """A registry in an object store.

    Args:
        store: its directory in the store.
        directory: an empty one, for the copy of the current version.
    """

    # Each look is a request to list the files, which a store counts.
    seconds_between_looks = 10.0

    def __init__(self, store: Store, directory: str) -> None:
        self.address = store.address
        self.directory = directory
        self._store = store
        self._seen: dict[str, int] = {}
        self._pointer = b""

    def update(self, in_use: Collection[int]) -> None:
        """Copy `models.config`, and before it the version that it names, if either has changed."""
        with store_errors(self._store, self.address):
            sizes = self._store.sizes()
        if POINTER_FILE not in sizes:
            raise DataError(f"{self.address} holds no {POINTER_FILE}: not a registry, or empty")
        with tempfile.TemporaryDirectory(dir=self.directory) as incoming:
            self._download(POINTER_FILE, incoming)
            pointer = Path(incoming, POINTER_FILE).read_bytes()
            number = current_version(incoming, self.address)
            served_name(incoming, self.address)
            files = {name: sizes[name] for name in sizes if name.startswith(f"{number}/")}
            if (pointer, files) == (self._pointer, self._seen):
                return
            for name in files:
                self._download(name, incoming)
            self._replace(number, incoming)
            with whole_file(os.path.join(self.directory, POINTER_FILE)) as file:
                file.write(pointer)
        self._pointer, self._seen = pointer, files
        self._remove_others({number, *in_use})

    def _download(self, name: str, directory: str) -> None:
        path = os.path.join(directory, check_name(name, self.address))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with store_errors(self._store, f"{self.address}/{name}"):
            self._store.download(name, path)

    def _replace(self, number: int, incoming: str) -> None:
        copy = os.path.join(self.directory, str(number))
        if os.path.isdir(copy):
            shutil.rmtree(copy)
        if os.path.isdir(new := os.path.join(incoming, str(number))):
            os.rename(new, copy)

    def _remove_others(self, kept: Collection[int]) -> None:
        for name in os.listdir(self.directory):
            if name.isdecimal() and int(name) not in kept:
                shutil.rmtree(os.path.join(self.directory, name))


@contextmanager
def open_registry(address: str) -> Iterator[Registry]:
    """Yield the registry at an address; the copy of a store's is removed after the block.

    Raises:
        UsageError: the address is of an unknown kind.
        DataError: the client of the object store is not installed, or it holds no registry.
    """
    if not is_address(address):
        yield LocalRegistry(address)
        return
    store = open_store("--registry", address)
    with tempfile.TemporaryDirectory(prefix="charseq-") as directory:
        registry = StoredRegistry(store, directory)
        registry.update(in_use=())
        yield registry

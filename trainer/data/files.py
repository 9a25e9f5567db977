"""The files of a dataset: on this machine, or fetched from an object store as they are read.

Of a store only one listing is asked, the few small files once, and the shards one after another,
some ahead of the reader. What is fetched lies in a temporary directory and is removed when it is
read, so it does not grow with the dataset.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import cached_property
from itertools import islice
from typing import Any, Protocol

from charseq.errors import DataError, UsageError

_DOWNLOADS_AT_ONCE = 8


def is_address(path: str) -> bool:
    """Whether `path` is no path of this machine's file system, but like s3://bucket/name."""
    return "://" in path


def check_local(flag: str, path: str) -> None:
    """Look whether a run is to be on this machine's file system.

    Raises:
        UsageError: it is not.
    """
    if is_address(path):
        raise UsageError(
            f"{flag}: got {path!r}, expected a local directory; a mounted bucket will do"
        )


class Files(Protocol):
    """The files of a dataset, named relative to its directory.

    address: of that, as it was given. trouble: what kept a file from being fetched; TensorFlow
    passes on no more than a text.
    """

    address: str
    trouble: DataError | None

    def exists(self) -> bool:
        """Whether there is such a directory."""

    def size(self, name: str) -> int | None:
        """The bytes of a file; None if there is none."""

    def path(self, name: str) -> str:
        """The local path of a file or a directory that is not large."""

    def in_order(self, names: Sequence[str]) -> Iterator[str]:
        """The local path of each of these files; it is there until the next one is asked for."""


class LocalFiles:
    """The files of a dataset on this machine."""

    def __init__(self, directory: str) -> None:
        self.address = directory
        self.trouble: DataError | None = None

    def exists(self) -> bool:
        return os.path.exists(self.address)

    def size(self, name: str) -> int | None:
        path = self.path(name)
        return os.path.getsize(path) if os.path.exists(path) else None

    def path(self, name: str) -> str:
        return os.path.join(self.address, name)

    def in_order(self, names: Sequence[str]) -> Iterator[str]:
        return map(self.path, names)


class Store(Protocol):
    """A directory of an object store."""

    # What its client raises.
    errors: tuple[type[Exception], ...]

    def sizes(self) -> dict[str, int]:
        """The bytes of each file, by its name relative to the directory."""

    def download(self, name: str, path: str) -> None:
        """Write a file to a local path."""


class StoredFiles:
    """The files of a dataset in an object store, with copies below a local directory."""

    def __init__(
        self, address: str, store: Store, directory: str, pool: ThreadPoolExecutor
    ) -> None:
        self.address = address
        self.trouble: DataError | None = None
        self._store = store
        self._directory = directory
        self._pool = pool
        self._pass: _Pass | None = None

    @cached_property
    def _sizes(self) -> dict[str, int]:
        with self._trouble_as_data_error(self.address):
            found = self._store.sizes()
        # Some tools put an empty file where a directory would be.
        return {name: size for name, size in found.items() if name and not name.endswith("/")}

    def exists(self) -> bool:
        return bool(self._sizes)

    def size(self, name: str) -> int | None:
        return self._sizes.get(name)

    def path(self, name: str) -> str:
        copy = os.path.join(self._directory, name)
        if not os.path.exists(copy):
            for each in self._sizes:
                if each == name or each.startswith(f"{name}/"):
                    self.download(each, os.path.join(self._directory, each))
        return copy

    def in_order(self, names: Sequence[str]) -> Iterator[str]:
        local_path = self.fetched(names, ahead=1)
        for number in range(len(names)):
            path = local_path(number)
            yield path
            os.remove(path)

    def fetched(self, names: Sequence[str], ahead: int) -> Callable[[int], str]:
        """A function that gives the local path of a file by its number in `names`.

        It is to be asked for 0, 1, 2, … in turn; with 0 it begins anew. `ahead` more are fetched
        meanwhile. Who has read a file removes it; what one pass leaves goes when the next begins.
        """
        mine: _Pass | None = None

        def local_path(number: int) -> str:
            nonlocal mine
            if number == 0:
                self.close()
                directory = tempfile.mkdtemp(dir=self._directory)
                mine = self._pass = _Pass(self, names, ahead, directory, self._pool)
            if mine is None or mine is not self._pass:
                raise RuntimeError(f"file {number} of a pass that is over")
            return mine.next_path()

        return local_path

    def download(self, name: str, path: str) -> None:
        """Write a file to a local path.

        Raises:
            DataError: the store does not give it.
        """
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with self._trouble_as_data_error(f"{self.address}/{name}"):
            self._store.download(name, path)

    def close(self) -> None:
        """Give up what is being fetched."""
        if self._pass:
            self._pass.close()
            self._pass = None

    @contextmanager
    def _trouble_as_data_error(self, where: str) -> Iterator[None]:
        try:
            yield
        except self._store.errors as error:
            self.trouble = DataError(f"{where}: {' '.join(str(error).split())}")
            raise self.trouble from error


class _Pass:
    """Files of a store in an order, some of them fetched ahead, in a local directory of its own."""

    def __init__(
        self,
        files: StoredFiles,
        names: Sequence[str],
        ahead: int,
        directory: str,
        pool: ThreadPoolExecutor,
    ) -> None:
        self._files = files
        self._left = iter(enumerate(names))
        self._directory = directory
        self._pool = pool
        self._fetching: deque[Future[str]] = deque()
        self._fetch(ahead)

    def next_path(self) -> str:
        """The local path of the next file, once it is there."""
        self._fetch(1)
        return self._fetching.popleft().result()

    def close(self) -> None:
        """Remove the files that are left."""
        for future in self._fetching:
            future.cancel()
        wait(self._fetching)
        # A reader that was stopped may still be at it; the directory above it goes later anyway.
        shutil.rmtree(self._directory, ignore_errors=True)

    def _fetch(self, count: int) -> None:
        for number, name in islice(self._left, count):
            path = os.path.join(self._directory, str(number))
            self._fetching.append(self._pool.submit(self._download, name, path))

    def _download(self, name: str, path: str) -> str:
        self._files.download(name, path)
        return path


class _S3:
    """A directory of an S3 bucket, by boto3: credentials, region and server as it finds them."""

    def __init__(self, address: str, bucket: str, prefix: str) -> None:
        try:
            import boto3
            from boto3.exceptions import Boto3Error
            from boto3.s3.transfer import TransferConfig
            from botocore.exceptions import BotoCoreError, ClientError
        except ImportError as error:
            raise _missing(address, "boto3", "aws") from error
        self.errors: tuple[type[Exception], ...] = (
            *(BotoCoreError, ClientError, Boto3Error),
            *(OSError, ValueError),
        )
        self._boto3 = boto3
        # In the thread that asks: there are several of ours.
        self._config = TransferConfig(use_threads=False, preferred_transfer_client="classic")
        self._bucket = bucket
        self._prefix = prefix

    @cached_property
    def _client(self) -> Any:
        return self._boto3.Session().client("s3")

    def sizes(self) -> dict[str, int]:
        pages = self._client.get_paginator("list_objects_v2")
        return {
            file["Key"][len(self._prefix) :]: file["Size"]
            for page in pages.paginate(Bucket=self._bucket, Prefix=self._prefix)
            for file in page.get("Contents", ())
        }

    def download(self, name: str, path: str) -> None:
        self._client.download_file(self._bucket, self._prefix + name, path, Config=self._config)


class _Gcs:
    """A directory of a Google Cloud Storage bucket, by Google's client."""

    def __init__(self, address: str, bucket: str, prefix: str) -> None:
        try:
            from google.api_core.exceptions import GoogleAPIError
            from google.auth.exceptions import GoogleAuthError
            from google.cloud import storage
            from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
        except ImportError as error:
            raise _missing(address, "google-cloud-storage", "gcp") from error
        self.errors: tuple[type[Exception], ...] = (
            *(GoogleAPIError, GoogleAuthError, DataCorruption, InvalidResponse),
            *(OSError, ValueError),
        )
        self._storage = storage
        self._bucket_name = bucket
        self._prefix = prefix

    @cached_property
    def _bucket(self) -> Any:
        # Without a project: that is asked only where buckets are made.
        return self._storage.Client(project=None).bucket(self._bucket_name)

    def sizes(self) -> dict[str, int]:
        found = self._bucket.list_blobs(prefix=self._prefix)
        return {file.name[len(self._prefix) :]: file.size for file in found}

    def download(self, name: str, path: str) -> None:
        self._bucket.blob(self._prefix + name).download_to_filename(path)


_STORES: dict[str, Callable[[str, str, str], Store]] = {"s3": _S3, "gs": _Gcs}


@contextmanager
def open_files(address: str) -> Iterator[Files]:
    """The files of a dataset; what is fetched of them is removed after the block.

    Raises:
        UsageError: no such kind of address is known.
        DataError: what reads such addresses is not installed.
    """
    if not is_address(address):
        yield LocalFiles(address)
        return
    scheme, _, place = address.partition("://")
    if scheme not in _STORES:
        raise UsageError(f"--data: got {address!r}, expected a local directory, s3:// or gs://")
    bucket, _, prefix = place.strip("/").partition("/")
    store = _STORES[scheme](address, bucket, f"{prefix}/" if prefix else "")
    with (
        tempfile.TemporaryDirectory(prefix="charseq-") as directory,
        ThreadPoolExecutor(_DOWNLOADS_AT_ONCE) as pool,
    ):
        files = StoredFiles(f"{scheme}://{place.strip('/')}", store, directory, pool)
        try:
            yield files
        finally:
            files.close()


def _missing(address: str, package: str, extra: str) -> DataError:
    scheme = address.partition("://")[0]
    return DataError(
        f"{address}: {scheme}:// needs {package}, the extra `{extra}`: pip install {package}"
    )

"""Directories of object stores: what they hold, and how a file of them is downloaded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Protocol

from charseq.errors import DataError, UsageError


class Store(Protocol):
    """A directory of an object store."""

    address: str

    # What its client raises.
    errors: tuple[type[Exception], ...]

    def sizes(self) -> dict[str, int]:
        """Return the bytes of each file by its name, relative to the directory."""

    def download(self, name: str, path: str) -> None:
        """Write a file to a local path."""


class S3Directory:
    """A directory of an S3 bucket.

    boto3 takes credentials, region and server from where it always does: the environment, its
    files, or the machine's role.
    """

    def __init__(self, address: str, bucket: str, prefix: str) -> None:
        try:
            import boto3
            from boto3.exceptions import Boto3Error
            from boto3.s3.transfer import TransferConfig
            from botocore.exceptions import BotoCoreError, ClientError
        except ImportError as error:
            raise _missing_package(address, "boto3", "aws") from error
        client_errors = (BotoCoreError, ClientError, Boto3Error)
        self.errors: tuple[type[Exception], ...] = (*client_errors, OSError, ValueError)
        self.address = address
        self._boto3 = boto3
        # Each download in the thread that calls: the shard cache has several of them.
        self._config = TransferConfig(use_threads=False, preferred_transfer_client="classic")
        self._bucket = bucket
        self._prefix = prefix

    @cached_property
    def _client(self) -> Any:
        return self._boto3.Session().client("s3")

    def sizes(self) -> dict[str, int]:
        """Return the bytes of each file by its name, relative to the directory."""
        pages = self._client.get_paginator("list_objects_v2")
        sizes = {
            file["Key"][len(self._prefix) :]: file["Size"]
            for page in pages.paginate(Bucket=self._bucket, Prefix=self._prefix)
            for file in page.get("Contents", ())
        }
        return _without_markers(sizes)

    def download(self, name: str, path: str) -> None:
        """Write a file to a local path."""
        self._client.download_file(self._bucket, self._prefix + name, path, Config=self._config)


class GcsDirectory:
    """A directory of a Google Cloud Storage bucket, read by Google's client."""

    def __init__(self, address: str, bucket: str, prefix: str) -> None:
        try:
            from google.api_core.exceptions import GoogleAPIError
            from google.auth.exceptions import GoogleAuthError
            from google.cloud import storage
            from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
        except ImportError as error:
            raise _missing_package(address, "google-cloud-storage", "gcp") from error
        client_errors = (GoogleAPIError, GoogleAuthError, DataCorruption, InvalidResponse)
        self.errors: tuple[type[Exception], ...] = (*client_errors, OSError, ValueError)
        self.address = address
        self._storage = storage
        self._bucket_name = bucket
        self._prefix = prefix

    @cached_property
    def _bucket(self) -> Any:
        # Without a project: one is needed only to create buckets.
        return self._storage.Client(project=None).bucket(self._bucket_name)

    def sizes(self) -> dict[str, int]:
        """Return the bytes of each file by its name, relative to the directory."""
        blobs = self._bucket.list_blobs(prefix=self._prefix)
        return _without_markers({blob.name[len(self._prefix) :]: blob.size for blob in blobs})

    def download(self, name: str, path: str) -> None:
        """Write a file to a local path."""
        self._bucket.blob(self._prefix + name).download_to_filename(path)


# By the scheme of an address: called with the address, the bucket and the prefix of all names.
_STORES: dict[str, Callable[[str, str, str], Store]] = {"s3": S3Directory, "gs": GcsDirectory}


def open_store(flag: str, address: str) -> Store:
    """Return the directory of an object store at an address, the value of a flag.

    Raises:
        UsageError: the address is of an unknown kind.
        DataError: the client of the object store is not installed.
    """
    scheme, _, place = address.partition("://")
    if scheme not in _STORES:
        raise UsageError(f"{flag}: got {address!r}, expected a local directory, s3:// or gs://")
    place = place.strip("/")
    bucket, _, prefix = place.partition("/")
    return _STORES[scheme](f"{scheme}://{place}", bucket, f"{prefix}/" if prefix else "")


@contextmanager
def store_errors(store: Store, where: str) -> Iterator[None]:
    """Turn what the client of a store raises in the block into a user-facing error.

    Raises:
        DataError: the store does not list or deliver something; `where` says what.
    """
    try:
        yield
    except store.errors as error:
        raise DataError(f"{where}: {' '.join(str(error).split())}") from error


def _without_markers(sizes: Mapping[str, int]) -> dict[str, int]:
    """Return the files without the empty ones that some tools put where a directory would be."""
    return {name: size for name, size in sizes.items() if name and not name.endswith("/")}


def _missing_package(address: str, package: str, extra: str) -> DataError:
    scheme = address.partition("://")[0]
    return DataError(
        f"{address}: {scheme}:// needs {package}, the extra `{extra}`: pip install {package}"
    )

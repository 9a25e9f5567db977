"""Files on any of Beam's file systems, where Beam or TensorFlow alone does not do.

TensorFlow reads and writes local paths, and of the object stores only what it was built for; so
what it needs is fetched through Beam, and what it made is copied there.
"""

from __future__ import annotations

import io
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, BinaryIO

from apache_beam.io.aws.clients.s3 import boto3_client
from apache_beam.io.aws.s3io import S3IO, S3Uploader, parse_s3_path
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystemio import UploaderStream
from apache_beam.io.filesystems import FileSystems

from charseq.errors import DataError, UsageError


class _SharedClient(boto3_client.Client):
    """Beam's, around one boto3 client for all threads of a process, as boto3's are made for.

    Beam makes another for each call, and that takes a tenth of a second of computing.
    """

    def __init__(self, options: Any) -> None:
        self.__dict__.update(_first_client(options).__dict__)


@lru_cache(maxsize=1)
def _first_client(options: Any) -> Any:
    return _BEAM_CLIENT(options)


_BEAM_CLIENT: Any = boto3_client.Client
boto3_client.Client = _SharedClient


def is_local(path: str) -> bool:
    """Whether `path` is a path of this machine's own file system."""
    return FileSystems.get_scheme(path) is None


def check_store(path: str) -> None:
    """Ask the store of `path`, a file, directory or glob, for a name, to see that it answers.

    Beam itself takes a bucket that is missing for an empty one, and repeats for ten minutes what
    cannot succeed without credentials.

    Raises:
        UsageError: Beam has no such file system.
        DataError: the store cannot be reached, or refuses.
    """
    try:
        FileSystems.get_filesystem(path)
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from error
    ask = {"s3": _ask_s3, "gs": _ask_gs}.get(FileSystems.get_scheme(path) or "")
    if ask:
        ask(re.split(r"[*?\[]", path)[0])


def _ask_s3(path: str) -> None:
    try:
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError as error:
        raise DataError(f"{path}: s3:// needs boto3, the extra `aws`: pip install boto3") from error
    try:
        bucket, prefix = parse_s3_path(path, object_optional=True)
        _s3(path).client.client.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1)
    except (BotoCoreError, ClientError, ValueError) as error:
        raise DataError(f"{path}: {error}") from error


def _s3(path: str) -> S3IO:
    return S3IO(options=FileSystems.get_filesystem(path)._options)


def _ask_gs(path: str) -> None:
    from apache_beam.io.gcp.gcsio import parse_gcs_path
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError

    try:
        bucket, prefix = parse_gcs_path(path, object_optional=True)
        client = FileSystems.get_filesystem(path)._gcsIO().client
        next(iter(client.list_blobs(bucket, prefix=prefix, max_results=1)), None)
    except (GoogleAPIError, GoogleAuthError, ValueError) as error:
        raise DataError(f"{path}: {error}") from error


def create(path: str) -> BinaryIO:
    """A stream that writes the file `path`, as it is: the name does not choose a compression."""
    if FileSystems.get_scheme(path) == "s3":
        stream = UploaderStream(_S3Uploader(_s3(path).client, path))
        return io.BufferedWriter(stream, buffer_size=128 << 10)
    return FileSystems.create(path, compression_type=CompressionTypes.UNCOMPRESSED)  # type: ignore[no-any-return]


class _S3Uploader(S3Uploader):
    """Beam's, for empty files too: those it completes without a part, which S3 refuses."""

    def finish(self) -> None:
        if not self.parts and not self.buffer:
            self._write_to_s3(b"")
        super().finish()


def open_file(path: str) -> BinaryIO:
    """A stream that reads the file `path`, as it is."""
    return FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED)  # type: ignore[no-any-return]


def list_tree(directory: str) -> list[str]:
    """The paths of all files below `directory`; none where it does not exist."""
    found = FileSystems.match([FileSystems.join(directory, "**")])[0].metadata_list
    return [file.path for file in found]


def copy_tree(source: str, target: str) -> str:
    """Copy each file below `source` to its place below `target`, and return `target`.

    They may be on different file systems. Hidden files are left out: TFT keeps its notes on a
    graph there.
    """
    for path in list_tree(source):
        place = path[len(source) :]
        if "/." not in place:
            make_parent(target + place)
            with open_file(path) as original, create(target + place) as copy:
                shutil.copyfileobj(original, copy)
    return target


def make_parent(path: str) -> None:
    """Make the directory of the file `path`, where the file system has directories at all."""
    parent = FileSystems.split(path)[0]
    if FileSystems.get_filesystem(path).has_dirs() and not FileSystems.exists(parent):
        FileSystems.mkdirs(parent)


def remove_tree(directory: str) -> None:
    """Remove `directory` and all below it, if it is there."""
    if FileSystems.get_filesystem(directory).has_dirs():
        if FileSystems.exists(directory):
            FileSystems.delete([directory])
    elif found := list_tree(directory):
        FileSystems.delete(found)


@contextmanager
def local_file(path: str) -> Iterator[str]:
    """The file `path` as a local one: itself, or a copy that lasts as long as the block."""
    if is_local(path):
        yield path
        return
    with tempfile.NamedTemporaryFile() as copy:
        with open_file(path) as original:
            shutil.copyfileobj(original, copy)
        copy.flush()
        yield copy.name


@contextmanager
def local_tree(directory: str) -> Iterator[str]:
    """The files below `directory` as local ones: themselves, or copies as long as the block."""
    if is_local(directory):
        yield directory
        return
    with tempfile.TemporaryDirectory() as copy:
        yield copy_tree(directory, copy)

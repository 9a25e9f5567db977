"""Amazon S3 where Beam's own code is slow or incomplete."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Any, BinaryIO

from apache_beam.io.aws.clients.s3 import boto3_client
from apache_beam.io.aws.s3io import S3IO, S3Uploader, parse_s3_path
from apache_beam.io.filesystemio import UploaderStream
from apache_beam.io.filesystems import FileSystems

from charseq.errors import DataError

_BUFFER_BYTES = 128 << 10
_BeamClient: Any = boto3_client.Client


class SharedClient(boto3_client.Client):
    """Beam's S3 client around one boto3 client for all threads of a process.

    Beam makes a boto3 client for each call, which takes a tenth of a second of computing, although
    boto3's clients may be used from several threads.
    """

    def __init__(self, options: Any) -> None:
        self.__dict__.update(_first_client(options).__dict__)


@lru_cache(maxsize=1)
def _first_client(options: Any) -> Any:
    return _BeamClient(options)


def share_client() -> None:
    """Make Beam use `SharedClient` in this process."""
    boto3_client.Client = SharedClient


def check_bucket(path: str) -> None:
    """List a name below `path` to check that its bucket exists and may be read.

    Raises:
        DataError: the store cannot be reached or refuses, or boto3 is not installed.
    """
    try:
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError as error:
        raise DataError(f"{path}: s3:// needs boto3, the extra `aws`: pip install boto3") from error
    try:
        bucket, prefix = parse_s3_path(path, object_optional=True)
        _s3io(path).client.client.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1)
    except (BotoCoreError, ClientError, ValueError) as error:
        raise DataError(f"{path}: {error}") from error


def create(path: str) -> BinaryIO:
    """Return a stream that writes the object `path`."""
    stream = UploaderStream(_Uploader(_s3io(path).client, path))
    return io.BufferedWriter(stream, buffer_size=_BUFFER_BYTES)


def create_exclusively(path: str, data: bytes) -> bool:
    """Create the object `path` unless it exists; return whether this call did.

    Raises:
        ClientError: the store refuses.
    """
    from botocore.exceptions import ClientError

    bucket, key = parse_s3_path(path)
    try:
        client = _s3io(path).client.client
        client.put_object(Bucket=bucket, Key=key, Body=data, IfNoneMatch="*")
    except ClientError as error:
        # 412: it exists. 409: another request is creating it at this moment.
        if error.response["ResponseMetadata"]["HTTPStatusCode"] in (409, 412):
            return False
        raise
    return True


def _s3io(path: str) -> S3IO:
    return S3IO(options=FileSystems.get_filesystem(path)._options)


class _Uploader(S3Uploader):
    """Beam's uploader, for empty files too: it would complete them without a part; S3 refuses."""

    def finish(self) -> None:
        if not self.parts and not self.buffer:
            self._write_to_s3(b"")
        super().finish()

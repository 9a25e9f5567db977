"""Object stores on this machine: moto's S3 server and an emulator of Google's, a bucket in each."""

from __future__ import annotations

import logging
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from gcp_storage_emulator.server import create_server
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from moto.server import ThreadedMotoServer


class Bucket(SimpleNamespace):
    """The bucket `bucket` of an S3 server, with its client, its address and Beam's flags for it."""

    client: Any
    url: str
    flags: list[str]

    def put(self, key: str, data: bytes) -> None:
        self.client.put_object(Bucket="bucket", Key=key, Body=data)

    def get(self, key: str) -> bytes:
        return self.client.get_object(Bucket="bucket", Key=key)["Body"].read()  # type: ignore[no-any-return]

    def delete(self, key: str) -> None:
        self.client.delete_object(Bucket="bucket", Key=key)

    def keys(self, prefix: str) -> list[str]:
        response = self.client.list_objects_v2(Bucket="bucket", Prefix=prefix)
        return [item["Key"] for item in response.get("Contents", [])]

    def demand_credentials(self, after: str) -> None:
        """Make the server check credentials after `after` more requests."""
        request = urllib.request.Request(f"{self.url}/moto-api/reset-auth", after.encode())
        request.add_header("Content-Type", "text/plain")
        urllib.request.urlopen(request).close()


@contextmanager
def s3_server() -> Iterator[Bucket]:
    """Run an S3 server while the block runs, with credentials for it in the environment."""
    logging.getLogger("werkzeug").disabled = True
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    url = "http://{}:{}".format(*server.get_host_and_port())
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        client = boto3.client("s3", endpoint_url=url)
        client.create_bucket(Bucket="bucket")
        yield Bucket(client=client, url=url, flags=[f"--s3_endpoint_url={url}"])
        client.close()
    server.stop()


@contextmanager
def gs_server() -> Iterator[storage.Bucket]:
    """Run a gs:// emulator while the block runs, named in the environment."""
    logging.getLogger("gcp_storage_emulator").setLevel(logging.CRITICAL)
    server = create_server("127.0.0.1", 0, in_memory=True, default_bucket="bucket")
    server.start()
    port = server._api._httpd.server_port
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
        client = storage.Client(project="test", credentials=AnonymousCredentials())
        yield client.bucket("bucket")
        client.close()
    server.stop()


def files_below(directory: Path) -> dict[str, bytes]:
    """Return the content of each file, by its path relative to the directory."""
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }

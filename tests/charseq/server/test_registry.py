"""Registries in object stores: what is copied, when, and from real servers of S3 and Google."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

from charseq.errors import DataError, UsageError
from charseq.server.registry import LocalRegistry, StoredRegistry, open_registry
from tests.support.serving import started
from tests.support.stores import files_below, gs_server, s3_server
from tests.support.versioned_model import add_version, point, save_versioned_model

POINTER = """\
model_config_list {
  config {
    name: "charseq"
    model_version_policy { specific { versions: %s } }
  }
}
"""


class MemoryStore:
    """A directory of an object store, in memory; notes what is downloaded."""

    address = "s3://bucket/models"
    errors: tuple[type[Exception], ...] = (OSError,)

    def __init__(self, **files: bytes) -> None:
        self.files = dict(files)
        self.downloaded: list[str] = []

    def put(self, version: int | str, **files: bytes) -> None:
        """Put files of a version, and make it current."""
        self.files |= {f"{version}/{name}": content for name, content in files.items()}
        self.files["models.config"] = (POINTER % version).encode()

    def sizes(self) -> dict[str, int]:
        return {name: len(content) for name, content in self.files.items()}

    def download(self, name: str, path: str) -> None:
        if name not in self.files:
            raise OSError("no such key")
        self.downloaded.append(name)
        Path(path).write_bytes(self.files[name])


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore()
    store.put(2, graph=b"two")
    store.put(1, graph=b"one")
    return store


def test_only_the_current_version_is_copied(store: MemoryStore, tmp_path: Path) -> None:
    registry = StoredRegistry(store, str(tmp_path))
    registry.update(in_use=())
    assert files_below(tmp_path) == {
        "1/graph": b"one",
        "models.config": store.files["models.config"],
    }


def test_nothing_is_copied_again_while_nothing_changes(store: MemoryStore, tmp_path: Path) -> None:
    registry = StoredRegistry(store, str(tmp_path))
    registry.update(in_use=())
    before = (tmp_path / "models.config").stat().st_mtime_ns
    store.downloaded.clear()
    registry.update(in_use=[1])
    assert store.downloaded == ["models.config"]
    assert (tmp_path / "models.config").stat().st_mtime_ns == before


def test_a_version_stays_while_it_is_in_use(store: MemoryStore, tmp_path: Path) -> None:
    registry = StoredRegistry(store, str(tmp_path))
    registry.update(in_use=())
    store.put(2)
    registry.update(in_use=[1])
    assert set(files_below(tmp_path)) == {"1/graph", "2/graph", "models.config"}
    store.put(3, graph=b"three")
    registry.update(in_use=[2])
    assert set(files_below(tmp_path)) == {"2/graph", "3/graph", "models.config"}


def test_a_version_whose_files_come_late_is_copied_again(
    store: MemoryStore, tmp_path: Path
) -> None:
    registry = StoredRegistry(store, str(tmp_path))
    store.put(3)
    registry.update(in_use=())
    assert set(files_below(tmp_path)) == {"models.config"}
    before = (tmp_path / "models.config").stat().st_mtime_ns
    store.put(3, graph=b"three")
    registry.update(in_use=())
    assert files_below(tmp_path)["3/graph"] == b"three"
    assert (tmp_path / "models.config").stat().st_mtime_ns > before


def test_what_is_no_registry_is_named_by_its_address(store: MemoryStore, tmp_path: Path) -> None:
    registry = StoredRegistry(store, str(tmp_path))
    store.put("x")
    with pytest.raises(DataError, match=r"^s3://bucket/models/models.config: names no current"):
        registry.update(in_use=())
    store.files["models.config"] = store.files["models.config"].replace(b"x }", b"1 }")
    store.files["models.config"] = store.files["models.config"].replace(b"name:", b"no:")
    with pytest.raises(DataError, match=r"^s3://bucket/models/models.config: got 0 times 'name:"):
        registry.update(in_use=())
    del store.files["models.config"]
    with pytest.raises(DataError, match=r"^s3://bucket/models holds no models.config"):
        registry.update(in_use=())
    assert files_below(tmp_path) == {}


def test_no_key_leaves_the_copy(store: MemoryStore, tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    store.files["1/../../outside"] = b"mine"
    with pytest.raises(DataError, match=r"names the file '1/../../outside'"):
        StoredRegistry(store, str(inside)).update(in_use=())
    assert files_below(tmp_path) == {}


def test_a_store_that_fails_is_named_with_the_file(store: MemoryStore, tmp_path: Path) -> None:
    registry = StoredRegistry(store, str(tmp_path))
    store.sizes = lambda: {"models.config": 1}  # type: ignore[method-assign]
    del store.files["models.config"]
    with pytest.raises(DataError, match=r"^s3://bucket/models/models.config: no such key$"):
        registry.update(in_use=())


def test_addresses(tmp_path: Path) -> None:
    with open_registry(str(tmp_path)) as registry:
        assert registry == LocalRegistry(str(tmp_path))
        assert (registry.directory, registry.seconds_between_looks) == (str(tmp_path), 1.0)
    said = "--registry: got 'http://h/models', expected a local directory, s3:// or gs://"
    with pytest.raises(UsageError, match=said), open_registry("http://h/models"):
        pass


@pytest.fixture
def local(tmp_path: Path) -> Path:
    registry = tmp_path / "registry"
    registry.mkdir()
    for version in (1, 2):
        add_version(registry, version, save_versioned_model(tmp_path / str(version), version))
    point(registry, 1)
    return registry


@pytest.mark.integration
def test_a_registry_in_s3_is_served_and_followed(local: Path, tmp_path: Path) -> None:
    with s3_server() as bucket:
        for name, content in files_below(local).items():
            bucket.put(f"some/models/{name}", content)
        environment = {"AWS_ENDPOINT_URL": bucket.url, "TMPDIR": str(tmp_path / "temporary")}
        os.makedirs(environment["TMPDIR"])
        with started("s3://bucket/some/models", tmp_path / "s", environment=environment) as server:
            server.wait_until_serving()
            client = server.client()
            assert (client.predict("abc").status, client.predict("abc").version) == (200, 1)
            point(local, 2)
            bucket.put("some/models/models.config", (local / "models.config").read_bytes())
            server.wait_for_event("serving", 2)
            assert client.predict("abc").version == 2
            bucket.delete("some/models/models.config")
            server.wait_for_message("s3://bucket/some/models holds no models.config")
            assert client.predict("abc").version == 2
            assert server.end(signal.SIGTERM) == 143
        left = os.listdir(environment["TMPDIR"])
        assert [name for name in left if name.startswith("charseq-")] == []


@pytest.mark.integration
def test_a_registry_in_google_cloud_storage_is_copied(local: Path) -> None:
    with gs_server() as bucket:
        for name, content in files_below(local).items():
            bucket.blob(f"some/models/{name}").upload_from_string(content)
        with open_registry("gs://bucket/some/models/") as registry:
            copied = files_below(Path(registry.directory))
            assert registry.address == "gs://bucket/some/models"
    shutil.rmtree(local / "2")
    assert copied == files_below(local)

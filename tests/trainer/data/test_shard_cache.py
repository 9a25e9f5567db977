from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from charseq.errors import DataError
from trainer.data.shard_cache import ShardCache

pytestmark = pytest.mark.unit

NAMES = [f"shard-{number}" for number in range(10)]


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as executor:
        yield executor


class Store:
    """Files that hold their own name; the names are kept in the order of the downloads."""

    def __init__(self, missing: str = "") -> None:
        self.downloaded: list[str] = []
        self._missing = missing

    def download(self, name: str, path: str) -> None:
        if name == self._missing:
            raise DataError(f"{name}: no such file")
        Path(path).write_text(name)
        self.downloaded.append(name)


def new_cache(
    store: Store, directory: Path, pool: ThreadPoolExecutor, reading: int = 2, ahead: int = 2
) -> ShardCache:
    return ShardCache(store.download, str(directory), pool, reading=reading, ahead=ahead)


def test_each_shard_is_downloaded_once_in_a_pass(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    store = Store()
    cache = new_cache(store, tmp_path, pool)
    contents = [Path(cache.path(NAMES, index)).read_text() for index in range(10)]
    assert contents == NAMES
    assert sorted(store.downloaded) == NAMES


def test_no_more_copies_exist_than_are_read_and_downloaded_ahead(
    tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    cache = new_cache(Store(), tmp_path, pool, reading=3, ahead=2)
    counts = []
    for index in range(10):
        cache.path(NAMES, index)
        counts.append(len(os.listdir(tmp_path)))
    assert max(counts) <= 5


def test_shards_are_downloaded_before_they_are_requested(tmp_path: Path) -> None:
    store = Store()
    with ThreadPoolExecutor(2) as pool:
        new_cache(store, tmp_path, pool, ahead=4).path(NAMES, 0)
    assert sorted(store.downloaded) == NAMES[:5]


@pytest.mark.parametrize("order", [(0, 2, 1, 3, 5, 4), (9, 0, 9, 1), (7, 6, 5, 4, 3, 2, 1, 0)])
def test_shards_can_be_requested_in_any_order(
    tmp_path: Path, pool: ThreadPoolExecutor, order: tuple[int, ...]
) -> None:
    cache = new_cache(Store(), tmp_path, pool)
    contents = [Path(cache.path(NAMES, index)).read_text() for index in order]
    assert contents == [NAMES[index] for index in order]


def test_a_copy_that_is_open_can_be_read_after_it_was_removed(
    tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    cache = new_cache(Store(), tmp_path, pool)
    path = cache.path(NAMES, 0)
    with open(path) as file:
        for index in range(1, 10):
            cache.path(NAMES, index)
        assert not os.path.exists(path)
        assert file.read() == NAMES[0]


def test_a_shard_that_cannot_be_downloaded_fails_when_it_is_requested(
    tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    cache = new_cache(Store(missing="shard-2"), tmp_path, pool)
    assert Path(cache.path(NAMES, 1)).read_text() == "shard-1"
    with pytest.raises(DataError, match="shard-2: no such file"):
        cache.path(NAMES, 2)
    assert Path(cache.path(NAMES, 9)).read_text() == "shard-9"

"""Shards of an object store, downloaded ahead of their reader into a bounded number of files."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from itertools import count


class ShardCache:
    """Local copies of the shards that are being read and of those that are read next.

    At most `reading + ahead` copies exist; beyond that, the one that was least recently requested
    is removed. A reader may still have it open: it keeps reading, because a file that is open
    stays on the disk until it is closed. `reading` therefore has to be no smaller than the number
    of shards that are open at once only for the disk to stay bounded by it.

    Args:
        download: writes the file of a name to a local path.
        directory: for the copies; nothing else may be in it.
        pool: runs the downloads.
        reading: the number of shards that are open at once.
        ahead: the number of shards that are downloaded before they are requested.
    """

    def __init__(
        self,
        download: Callable[[str, str], None],
        directory: str,
        pool: Executor,
        *,
        reading: int,
        ahead: int,
    ) -> None:
        self._download = download
        self._directory = directory
        self._pool = pool
        self._ahead = ahead
        self._capacity = reading + ahead
        self._numbers = count()
        self._copies: OrderedDict[str, Future[str]] = OrderedDict()
        self._lock = threading.Lock()

    def path(self, names: Sequence[str], index: int) -> str:
        """Return the local path of `names[index]`, and begin to download those after it.

        The path is to be opened before many other shards are requested. Any order of requests is
        correct; ascending ones download each shard once.

        Raises:
            DataError: the shard cannot be downloaded.
        """
        with self._lock:
            self._request(names[index])
            for name in names[index + 1 : index + 1 + self._ahead]:
                self._request(name)
            # Last, so that of all copies it is removed last.
            copy = self._request(names[index])
        return copy.result()

    def _request(self, name: str) -> Future[str]:
        if name not in self._copies:
            if len(self._copies) == self._capacity:
                self._remove_oldest()
            # A new file each time: an earlier copy of the shard may still be open.
            path = os.path.join(self._directory, str(next(self._numbers)))
            self._copies[name] = self._pool.submit(self._fetch, name, path)
        self._copies.move_to_end(name)
        return self._copies[name]

    def _remove_oldest(self) -> None:
        _, copy = self._copies.popitem(last=False)
        if not copy.cancel() and copy.exception() is None:
            os.remove(copy.result())

    def _fetch(self, name: str, path: str) -> str:
        self._download(name, path)
        return path

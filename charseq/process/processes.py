"""The processes that this one started."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def kill_descendants() -> None:
    """Kill the processes that this one started, and those that they started."""
    for pid in list(descendants(os.getpid())):
        with suppress(ProcessLookupError):  # It has just ended.
            os.kill(pid, signal.SIGKILL)


def descendants(pid: int) -> Iterator[int]:
    """Yield the ids of the processes that process `pid` started, and of those that they started."""
    parents = _parents()
    for other in parents:
        ancestor = parents.get(other)
        while ancestor is not None and ancestor != pid:
            ancestor = parents.get(ancestor)
        if ancestor == pid:
            yield other


def _parents() -> dict[int, int]:
    """Return the id of each process's parent."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            # The name of the program, in parentheses, may hold anything.
            parents[int(path.parent.name)] = int(path.read_bytes().rpartition(b")")[2].split()[1])
    return parents

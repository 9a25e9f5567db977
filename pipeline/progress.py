"""Progress of a run in this process, told on standard error while it goes on."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

_SECONDS_ON_A_TERMINAL = 0.5
_SECONDS_IN_A_LOG = 10.0

_done: Counter[str] = Counter()
_lock = threading.Lock()


def advance(what: str, rows: int) -> None:
    """Count rows `read` or `written` in this process."""
    with _lock:
        _done[what] += rows


@contextmanager
def shown(idle: str) -> Iterator[None]:
    """Tell the counts every moment while the block runs: in place on a terminal, else by lines.

    `idle` is said while nothing was counted, as it is where other processes do the work.
    """
    _done.clear()
    finished = threading.Event()
    teller = threading.Thread(target=_tell, args=(finished, idle), daemon=True)
    teller.start()
    try:
        yield
    finally:
        finished.set()
        teller.join()


def _tell(finished: threading.Event, idle: str) -> None:
    terminal = sys.stderr.isatty()
    started = time.monotonic()
    while not finished.wait(_SECONDS_ON_A_TERMINAL if terminal else _SECONDS_IN_A_LOG):
        line = describe(_done, time.monotonic() - started, idle)
        print(f"\r{line}\033[K" if terminal else line, end="" if terminal else "\n",
              file=sys.stderr, flush=True)  # fmt: skip
    if terminal:
        print("\r\033[K", end="", file=sys.stderr, flush=True)


def describe(done: Counter[str], seconds: float, idle: str) -> str:
    """One line: what was done so far."""
    read, written = done["read"], done["written"]
    if written:
        return f"writing: {written:,} of up to {read:,} rows, {seconds:.0f} s"
    if read:
        return f"reading: {read:,} rows, {seconds:.0f} s"
    return f"{idle}, {seconds:.0f} s"

"""How far a run is, told on standard error while it goes on.

On a terminal one line is rewritten; elsewhere a line of JSON comes every few seconds:
{"stage": "reading", "rows": 286644, "rows_per_second": 410000, "percent": 26.5,
"seconds_left": 2.0, "seconds": 10.0}. Only what this process does can be counted: where workers
do it the stage is "running", with its seconds, and Beam's metrics have the rest.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass

_SECONDS_ON_A_TERMINAL = 0.5
_SECONDS_IN_A_LOG = 5.0

_done: Counter[str] = Counter()
_lock = threading.Lock()


def advance(**done: int) -> None:
    """Count what this process did.

    bytes_read: of the input's bytes. read, usable, shuffled, written: rows.
    """
    with _lock:
        _done.update(done)


@dataclass(frozen=True)
class Status:
    """How far a stage is.

    rows: that it has done. percent, seconds_left: of this stage; None where it cannot be told.
    seconds: since the run began.
    """

    stage: str
    rows: int = 0
    rows_per_second: int | None = None
    percent: float | None = None
    seconds_left: float | None = None
    seconds: float = 0.0

    def __str__(self) -> str:
        known = [f"{self.stage}: {self.rows:,} rows" if self.rows else self.stage]
        if self.percent is not None:
            known.append(f"{self.percent:.0f} %")
        if self.rows_per_second is not None:
            known.append(f"{self.rows_per_second:,} rows/s")
        if self.seconds_left is not None:
            known.append(f"{self.seconds_left:.0f} s left in this stage")
        return ", ".join([*known, f"{self.seconds:.0f} s so far"])


class Watch:
    """Turns counts into a Status, with the speed since the stage began."""

    def __init__(self, idle: str, total_bytes: int, now: float, first: str = "reading") -> None:
        self._idle, self._first, self._total_bytes = idle, first, total_bytes
        self._started = self._stage_started = now
        self._stage = idle

    def look(self, done: Mapping[str, int], now: float) -> Status:
        """The status at the time `now`, in seconds."""
        stage, rows, part, whole = self._where(done)
        if stage != self._stage:
            self._stage, self._stage_started = stage, now
        seconds = now - self._stage_started
        share = min(1.0, part / whole) if part else None
        return Status(
            stage,
            rows,
            rows_per_second=round(rows / seconds) if rows and seconds > 0 else None,
            percent=None if share is None else round(100 * share, 1),
            seconds_left=round(seconds / share - seconds, 1) if share and seconds > 0 else None,
            seconds=round(now - self._started, 1),
        )

    def _where(self, done: Mapping[str, int]) -> tuple[str, int, int, int]:
        """The stage, its rows, and how much of how much of it is done."""
        for stage, count in (("writing", "written"), ("shuffling", "shuffled")):
            if done[count]:
                return stage, done[count], done[count], done["usable"]
        if done["read"]:
            return self._first, done["read"], done["bytes_read"], self._total_bytes
        return self._idle, 0, 0, 0


@contextmanager
def shown(idle: str, total_bytes: int, first: str = "reading") -> Iterator[None]:
    """Tell the status every moment while the block runs.

    `idle` is the stage while nothing was counted, `first` the one that reads. total_bytes: of the
    input.
    """
    _done.clear()
    finished = threading.Event()
    watch = Watch(idle, total_bytes, time.monotonic(), first)
    teller = threading.Thread(target=_tell, args=(finished, watch), daemon=True)
    teller.start()
    try:
        yield
    finally:
        finished.set()
        teller.join()


def _tell(finished: threading.Event, watch: Watch) -> None:
    terminal = sys.stderr.isatty()
    while not finished.wait(_SECONDS_ON_A_TERMINAL if terminal else _SECONDS_IN_A_LOG):
        with _lock:
            status = watch.look(Counter(_done), time.monotonic())
        if terminal:
            print(f"\r{status}\033[K", end="", file=sys.stderr, flush=True)
        else:
            told = {name: value for name, value in asdict(status).items() if value is not None}
            print(json.dumps(told), file=sys.stderr, flush=True)
    if terminal:
        print("\r\033[K", end="", file=sys.stderr, flush=True)

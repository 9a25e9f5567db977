"""The progress of a run on standard error: a status line on a terminal, JSON lines elsewhere.

{"stage": "reading", "rows": 286644, "rows_per_second": 410000, "percent": 26.5,
"seconds_left": 2.0, "seconds": 10.0} is printed every few seconds. Only what this process does is
counted: where workers do it the stage is "running", with its seconds, and Beam's metrics have the
rest.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from charseq.console.progress import StatusLine
from charseq.console.status import Status

_SECONDS_ON_A_TERMINAL = 0.5
_SECONDS_IN_A_LOG = 5.0

# The last one first: each stage, and the rows that it has done, of all that are usable.
_STAGES = (
    ("writing", "written"),
    ("shuffling", "shuffled"),
    ("comparing with test rows", "compared"),
    ("finding similar sequences", "clustered"),
)
_counts: Counter[str] = Counter()
_lock = threading.Lock()


def advance(**counts: int) -> None:
    """Add to the counts of this process.

    Args:
        counts: `bytes_read` of the input, or rows that were `read`, `usable`, `clustered`,
            `compared`, `shuffled`, `written`.
    """
    with _lock:
        _counts.update(counts)


class ProgressTracker:
    """Turns counts into a Status, with the speed since the stage began.

    Args:
        idle_stage: the name of the stage while all counts are 0.
        total_bytes: the size of the input.
        now: a time in seconds, of the same clock as in `status`.
        first_stage: the name of the stage that reads the input.
    """

    def __init__(
        self, idle_stage: str, total_bytes: int, now: float, first_stage: str = "reading"
    ) -> None:
        self._idle_stage, self._first_stage = idle_stage, first_stage
        self._total_bytes = total_bytes
        self._started = self._stage_started = now
        self._stage = idle_stage

    def status(self, counts: Mapping[str, int], now: float) -> Status:
        """Return the status at the time `now`, in seconds; `counts` are those of `advance`."""
        stage, rows, done, total = self._current_stage(counts)
        if stage != self._stage:
            self._stage, self._stage_started = stage, now
        seconds = now - self._stage_started
        fraction = min(1.0, done / total) if done else None
        return Status(
            stage,
            rows,
            rows_per_second=round(rows / seconds) if rows and seconds > 0 else None,
            percent=None if fraction is None else round(100 * fraction, 1),
            seconds_left=(
                round(seconds / fraction - seconds, 1) if fraction and seconds > 0 else None
            ),
            seconds=round(now - self._started, 1),
        )

    def _current_stage(self, counts: Mapping[str, int]) -> tuple[str, int, int, int]:
        """Return the stage, its rows, and its work done and in all, in rows or bytes."""
        for stage, count in _STAGES:
            if counts[count]:
                return stage, counts[count], counts[count], counts["usable"]
        if counts["read"]:
            return self._first_stage, counts["read"], counts["bytes_read"], self._total_bytes
        return self._idle_stage, 0, 0, 0


@contextmanager
def show_progress(
    idle_stage: str, total_bytes: int, first_stage: str = "reading"
) -> Iterator[None]:
    """Show the progress of this process while the block runs; the arguments of ProgressTracker."""
    _counts.clear()
    tracker = ProgressTracker(idle_stage, total_bytes, time.monotonic(), first_stage)
    finished = threading.Event()
    thread = threading.Thread(target=_show_until, args=(finished, tracker), daemon=True)
    thread.start()
    try:
        yield
    finally:
        finished.set()
        thread.join()


def _show_until(finished: threading.Event, tracker: ProgressTracker) -> None:
    line = StatusLine()
    interval = _SECONDS_ON_A_TERMINAL if line.is_terminal else _SECONDS_IN_A_LOG
    while not finished.wait(interval):
        with _lock:
            counts = Counter(_counts)
        status = tracker.status(counts, time.monotonic())
        if line.is_terminal:
            line.update(str(status))
        else:
            print(status.to_json(), file=sys.stderr, flush=True)
    line.clear()

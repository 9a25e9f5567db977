"""The progress of a training run, on standard error."""

from __future__ import annotations

import sys
import time

from charseq.progress import StatusLine
from trainer.training.state import TrainState

_SECONDS_IN_A_LOG = 30.0


class Progress:
    """A line that is rewritten in place on a terminal; elsewhere a new line twice a minute.

    rows and steps: of one epoch.
    """

    def __init__(self, epochs: int, rows: int, steps: int, start: TrainState) -> None:
        self._epochs, self._rows, self._steps = epochs, rows, steps
        self._started = self._printed = time.monotonic()
        self._rows_before = self._rows_done(start)
        self._status = StatusLine()

    def update(self, state: TrainState) -> None:
        """Show how far the run is, in a log only if the last line is old enough."""
        now = time.monotonic()
        if self._status.is_terminal:
            self._status.update(self._text(state, now))
        elif now - self._printed >= _SECONDS_IN_A_LOG:
            self._printed = now
            print(self._text(state, now), file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Erase the line, so that something else can be printed."""
        if self._status.is_terminal:
            self._status.clear()

    def _text(self, state: TrainState, now: float) -> str:
        done = self._rows_done(state)
        rate = (done - self._rows_before) / (now - self._started)
        left = format_duration((self._epochs * self._rows - done) / rate)
        where = f"epoch {state.epoch}/{self._epochs}, step {state.step}/{self._steps}"
        return f"{where}: {rate:,.0f} rows/s, {state.sums.score()}, {left} left"

    def _rows_done(self, state: TrainState) -> int:
        return (state.epoch - 1) * self._rows + int(state.sums.rows)


def format_duration(seconds: float) -> str:
    """Return seconds as minutes:seconds, or as hours:minutes:seconds from an hour on."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"

"""The progress of a training run, on standard error."""

from __future__ import annotations

import sys
import time

from charseq.console.progress import StatusLine
from trainer.training.state import TrainState

_SECONDS_IN_A_LOG = 30.0


class Progress:
    """A line that is rewritten in place on a terminal; elsewhere a new line twice a minute.

    The speed and the time left are those of the steps after the first update: the steps before it
    waited for the compiler.

    rows and steps: of one epoch.
    """

    def __init__(self, epochs: int, rows: int, steps: int) -> None:
        self._epochs, self._rows, self._steps = epochs, rows, steps
        self._printed = time.monotonic()
        self._compiled: TrainState | None = None
        self._status = StatusLine()

    def update(self, state: TrainState) -> None:
        """Show how far the run is, in a log only if the last line is old enough."""
        self._compiled = self._compiled or state
        now = time.monotonic()
        if self._status.is_terminal:
            self._status.update(self._text(state, self._compiled))
        elif now - self._printed >= _SECONDS_IN_A_LOG:
            self._printed = now
            print(self._text(state, self._compiled), file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Erase the line, so that something else can be printed."""
        if self._status.is_terminal:
            self._status.clear()

    def _text(self, state: TrainState, compiled: TrainState) -> str:
        done = self._rows_done(state)
        where = f"epoch {state.epoch}/{self._epochs}, step {state.step}/{self._steps}"
        seconds = _training_seconds(state) - _training_seconds(compiled)
        if seconds <= 0:
            return f"{where}: {state.sums.score()}"
        rate = (done - self._rows_done(compiled)) / seconds
        left = format_duration((self._epochs * self._rows - done) / rate)
        return f"{where}: {rate:,.0f} rows/s, {state.sums.score()}, {left} left"

    def _rows_done(self, state: TrainState) -> int:
        return (state.epoch - 1) * self._rows + int(state.sums.rows)


def _training_seconds(state: TrainState) -> float:
    return sum(epoch.seconds for epoch in state.epochs) + state.seconds


def format_duration(seconds: float) -> str:
    """Return seconds as minutes:seconds, or as hours:minutes:seconds from an hour on."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"

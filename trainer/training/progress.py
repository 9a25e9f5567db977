"""What a person sees of a training run while it goes on."""

from __future__ import annotations

import sys
import time

from trainer.training.state import TrainState

_SECONDS_IN_A_LOG = 30.0


class Progress:
    """A line on standard error: rewritten in place on a terminal, else a new one twice a minute.

    rows and steps: of one epoch.
    """

    def __init__(self, epochs: int, rows: int, steps: int, start: TrainState) -> None:
        self._epochs, self._rows, self._steps = epochs, rows, steps
        self._started = self._told = time.monotonic()
        self._rows_before = self._rows_done(start)
        self._terminal = sys.stderr.isatty()

    def update(self, position: TrainState) -> None:
        """Tell how far the run is."""
        now = time.monotonic()
        if not self._terminal and now - self._told < _SECONDS_IN_A_LOG:
            return
        self._told = now
        done = self._rows_done(position)
        rate = (done - self._rows_before) / (now - self._started)
        left = _duration((self._epochs * self._rows - done) / rate)
        where = f"epoch {position.epoch}/{self._epochs}, step {position.step}/{self._steps}"
        line = f"{where}: {rate:,.0f} rows/s, {position.sums.score()}, {left} left"
        start, end = ("\r", "\033[K") if self._terminal else ("", "\n")
        print(start + line, end=end, file=sys.stderr, flush=True)

    def _rows_done(self, position: TrainState) -> int:
        return (position.epoch - 1) * self._rows + int(position.sums.rows)

    def clear(self) -> None:
        """Take the line away, so that a whole line can be printed."""
        if self._terminal:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"

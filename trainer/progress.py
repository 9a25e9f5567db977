"""What a person sees of a training run while it goes on."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass

_SECONDS_IN_A_LOG = 30.0


@dataclass(frozen=True)
class Score:
    """Mean loss, in nats, and accuracy, 0 to 1, over some rows."""

    loss: float
    accuracy: float

    def __str__(self) -> str:
        return f"loss {self.loss:.4f}, accuracy {self.accuracy:.4f}"


class Progress:
    """A line on standard error: rewritten in place on a terminal, else a new one twice a minute.

    rows: of all epochs together.
    """

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._started = self._told = time.monotonic()
        self._terminal = sys.stderr.isatty()

    def update(self, where: str, rows: int, score: Score) -> None:
        """Tell how far it is: `rows` were trained on since the start."""
        now = time.monotonic()
        if not self._terminal and now - self._told < _SECONDS_IN_A_LOG:
            return
        self._told = now
        rate = rows / (now - self._started)
        left = _duration((self._rows - rows) / rate)
        line = f"{where}: {rate:,.0f} rows/s, {score}, {left} left"
        start, end = ("\r", "\033[K") if self._terminal else ("", "\n")
        print(start + line, end=end, file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Take the line away, so that a whole line can be printed."""
        if self._terminal:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"

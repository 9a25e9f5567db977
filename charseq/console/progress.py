"""The status of a long run on a terminal: one line that is rewritten in place."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.live import Live
from rich.text import Text

from charseq.console.terminal import escape_terminal, unescaped


class StatusLine:
    """The last line of standard error; nothing appears until the first `update`.

    is_terminal: whether standard error can show such a line. Where it cannot, as in a log, call
    neither `update` nor `clear` and print whole lines instead.
    """

    def __init__(self) -> None:
        # Without force_terminal, FORCE_COLOR makes rich write control codes into a log.
        console = Console(file=unescaped(sys.stderr), force_terminal=sys.stderr.isatty())
        self.is_terminal = console.is_terminal and not console.is_dumb_terminal
        self._live = Live(
            console=console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,  # standard output may be a file
            redirect_stderr=False,
        )

    def update(self, text: str) -> None:
        """Replace the line by `text`, of which as much is shown as fits."""
        self._live.start()
        self._live.console.show_cursor()  # A process that is killed could not show it again.
        self._live.update(
            Text(escape_terminal(text), no_wrap=True, overflow="ellipsis"), refresh=True
        )

    def clear(self) -> None:
        """Erase the line, so that other text can be printed; the next `update` shows it again."""
        self._live.stop()

"""What a process prints, shown in this one as it comes."""

from __future__ import annotations

import codecs
import os
import selectors
import subprocess
import sys
from collections.abc import Callable
from typing import IO, TextIO

from charseq.console.status import Status
from charseq.console.terminal import escape_for

_BYTES = 1 << 16
# What a process started may hold its streams open when it has ended.
_SECONDS = 0.5
_ERROR = "error: "


class Output:
    """The output of a process, which `show` passes on line by line.

    error: the message at the end of its standard error, without "error: ", which is not shown; ""
    if there is none.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._selector = selectors.DefaultSelector()
        self._error: list[str] = []
        self._register(process.stdout, lambda line: _write(sys.stdout, line))
        self._register(process.stderr, self._show_message)

    @property
    def error(self) -> str:
        """See the class."""
        return "".join(self._error).removeprefix(_ERROR).rstrip("\n")

    def __enter__(self) -> Output:
        return self

    def __exit__(self, *_: object) -> None:
        self._selector.close()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()

    def show(self) -> None:
        """Show what is printed until both streams end, or the process does."""
        while self._selector.get_map():
            ready = self._selector.select(_SECONDS)
            if not ready and self._process.poll() is not None:
                break
            for key, _ in ready:
                data = os.read(key.fd, _BYTES)
                key.data.add(data)
                if not data:
                    self._selector.unregister(key.fileobj)

    def _register(self, pipe: IO[bytes] | None, show: Callable[[str], None]) -> None:
        assert pipe is not None
        self._selector.register(pipe, selectors.EVENT_READ, _Lines(show))

    def _show_message(self, line: str) -> None:
        """Show a line of standard error, a status as text; keep what begins the error message."""
        if self._error or line.startswith(_ERROR):
            self._error.append(line)
        else:
            status = Status.from_json(line)
            _write(sys.stderr, line if status is None else f"{status}\n")


class _Lines:
    """Bytes of a stream, cut into lines."""

    def __init__(self, show: Callable[[str], None]) -> None:
        self._show = show
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""

    def add(self, data: bytes) -> None:
        """Show the lines that are complete; without data, at the end of the stream, all."""
        text = self._rest + self._decoder.decode(data, final=not data)
        *lines, self._rest = text.split("\n")
        if self._rest and not data:
            lines.append(self._rest)
        for line in lines:
            self._show(f"{line}\n")


def _write(stream: TextIO, text: str) -> None:
    stream.write(escape_for(stream, text))
    stream.flush()

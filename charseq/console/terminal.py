r"""What commands print, made safe for a terminal: a control character is shown as \x1b.

File names, labels and rows come from anywhere. Printed as they are, an escape sequence in one of
them could clear the screen, write into the clipboard or change what was printed before.
"""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from charseq.console.redaction import redact

# Controls, formats (zero width, direction), not assigned, private use, surrogates; separators.
INVISIBLE = {"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp", "Zs"}


def escape_terminal(text: str, limit: int | None = None) -> str:
    r"""Return a text without characters that are invisible, each of them as \x1b.

    No character of it moves the cursor, changes colours or reverses the direction.

    Args:
        text: any text.
        limit: columns of the result; … stands for the rest. None: as many as it takes.
    """
    # A character takes a column or more: none after these would fit.
    shown = text if limit is None else text[: limit + 1]
    if not shown.isprintable():
        shown = "".join(python_escape(c) if is_invisible(c) else c for c in shown)
    return shown if limit is None or len(shown) <= limit else f"{shown[: limit - 1]}…"


def is_invisible(character: str) -> bool:
    """Return whether a character shows nothing by itself; a space does not count."""
    return character != " " and unicodedata.category(character) in INVISIBLE


def python_escape(character: str) -> str:
    r"""Return a character as Python writes it where it cannot be shown, as \x1b or \udcf1."""
    return character.encode("unicode_escape").decode("ascii")


@contextmanager
def escaped_output() -> Iterator[None]:
    """Escape all that the block prints on standard output and error, except the ends of lines.

    Text that the encoding of a stream lacks is escaped, too. Messages, which go to standard error,
    are redacted; results, on standard output, are not.
    """
    out, error = sys.stdout, sys.stderr
    with open(os.devnull, "w", encoding="utf-8") as null:
        # Python sets a stream that it was started without to None.
        sys.stdout, sys.stderr = EscapingStream(out or null), RedactingStream(error or null)
        try:
            yield
        finally:
            sys.stdout, sys.stderr = out, error


def escape_for(stream: TextIO, text: str) -> str:
    """Return a text escaped as `stream` can show it, except the ends of lines."""
    shown = "\n".join(map(escape_terminal, text.split("\n")))
    encoding = stream.encoding or "utf-8"
    return shown.encode(encoding, "backslashreplace").decode(encoding)


class EscapingStream:
    """A text stream that escapes what is written to it; else the same as `stream`."""

    def __init__(self, stream: TextIO) -> None:
        self.unescaped = stream

    def write(self, text: str) -> int:
        """Write a text, escaped; return the number of its characters."""
        self.unescaped.write(escape_for(self.unescaped, text))
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        """Write each of the texts."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.unescaped, name)


class RedactingStream(EscapingStream):
    """An EscapingStream without the secrets in what is written to it."""

    def write(self, text: str) -> int:
        """Write a text, redacted and escaped; return the number of its characters."""
        super().write(redact(text))
        return len(text)


def unescaped(stream: Any) -> Any:
    """Return the stream below an EscapingStream, for what draws on a terminal itself."""
    return stream.unescaped if isinstance(stream, EscapingStream) else stream

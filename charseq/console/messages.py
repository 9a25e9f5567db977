"""Messages for users: never longer than can be read, whatever was in the data."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import zip_longest

from charseq.console.terminal import escape_for, unescaped

MAX_MESSAGE = 2000
_MAX_DIFFERENCES = 3
_VALUE_CHARACTERS = 60


def shorten_message(text: str, limit: int = MAX_MESSAGE) -> str:
    """Return a message, with its middle left out if it has more than `limit` characters.

    What is wrong stands at the start of a message, and what can be done at its end.
    """
    if len(text) <= limit:
        return text
    note = f" ... ({len(text):,} characters in all) ... "  # ASCII: escaped it would be longer.
    kept = limit - len(note)
    start = kept * 3 // 4
    return f"{text[:start]}{note}{text[start - kept :]}"


def print_error(text: str) -> None:
    """Print a message on standard error, shortened as it is escaped for it."""
    print(shorten_message(escape_for(unescaped(sys.stderr), text)), file=sys.stderr)


def shorten_value(value: str) -> str:
    """Return a value for a message: a long one cut, with its length."""
    if len(value) <= _VALUE_CHARACTERS:
        return value
    return f"{value[:_VALUE_CHARACTERS]}… ({len(value):,} characters)"


def name_first(names: Sequence[str], limit: int = _MAX_DIFFERENCES) -> str:
    """Return the first names of a list, and how many others there are."""
    more = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {more:,} more" if more > 0 else "")


def compare_names(got: Sequence[str], expected: Sequence[str]) -> str:
    """Return in what two lists of names, in the order of their ids, differ.

    Short lists are shown whole, of others the first places.
    """
    texts = ", ".join(got), ", ".join(expected)
    if max(map(len, texts)) <= _VALUE_CHARACTERS:
        return f"got {texts[0]}, expected {texts[1]}"
    places = [
        f"at {place}: {_quote(new)}, expected {_quote(old)}"
        for place, (new, old) in enumerate(zip_longest(got, expected))
        if new != old
    ]
    return f"got {len(got):,}, expected {len(expected):,}; {name_first(places)}"


def _quote(name: str | None) -> str:
    return "nothing" if name is None else shorten_value(repr(name))

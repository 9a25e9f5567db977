"""Markdown of text that comes from users: it is shown as it is, and changes nothing around it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from charseq.console.terminal import escape_terminal

# Punctuation that means something in CommonMark, in GitHub's tables, links and formulas.
_SPECIAL = re.compile(r"[\\`*_{}\[\]<>#!|~&:$^@]")
# Blanks that would be trimmed, or joined.
_BLANKS = re.compile(r"^ | $|(?<= ) ")
_MOST_CHARACTERS = 80


def escape_markdown(text: str, limit: int = _MOST_CHARACTERS) -> str:
    r"""Return the first `limit` characters of a text, for a line or a table cell of Markdown.

    Invisible characters and ends of lines are shown as \x1b and \n.
    """
    shown = _SPECIAL.sub(r"\\\g<0>", escape_terminal(text[:limit])).replace("www.", r"www\.")
    rest = f"… ({len(text):,} characters)" if len(text) > limit else ""
    return _BLANKS.sub("&#32;", shown) + rest


def make_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table and an empty one; its cells are escaped already.

    All columns but the first are of numbers, unless they have no name.
    """
    rule = ["---", *("---:" if name else "---" for name in head[1:])]
    return [_line(head), _line(rule), *map(_line, rows), ""]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"

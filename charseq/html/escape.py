"""Text of users, made safe and visible in HTML."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter

from markupsafe import Markup, escape

from charseq.console.terminal import is_invisible, python_escape

_NAMELESS = {"Cc": "CONTROL", "Cn": "NOT ASSIGNED", "Co": "PRIVATE USE", "Cs": "SURROGATE"}
# Controls have no names of their own, but symbols that picture them have: "SYMBOL FOR NULL".
_PICTURES = {chr(code): chr(0x2400 + code) for code in range(0x20)} | {"\x7f": "\u2421"}


def escape_html(text: str, limit: int = 80) -> Markup:
    r"""Return the first `limit` characters of a text as HTML, with its length if it has more.

    A `bdi` element keeps the direction of the text from what surrounds it. An invisible character
    is written as Python does, as \u200b, with its name as a tooltip.
    """
    shown = Markup().join(map(_escape_visibly, text[:limit]))
    return Markup("<bdi class=text>{}</bdi>").format(shown) + _describe_rest(text, limit)


def _describe_rest(text: str, limit: int) -> Markup:
    rest = f"<small>… {len(text):,} characters</small>" if len(text) > limit else ""
    return Markup(rest)


def escape_marked(text: str, levels: Sequence[int], limit: int = 300) -> Markup:
    """Return a text as `escape_html` does, with its characters in `b` elements by their levels.

    A character that combines with others is in one element with them, of their strongest level.

    Args:
        text: any text.
        levels: of the characters, as `charseq.measures.influence` gives them; 0: no element.
        limit: of the characters that are shown.
    """
    clusters: list[tuple[int, str]] = []
    for character, level in zip(text[:limit], levels, strict=False):
        if clusters and unicodedata.category(character).startswith("M"):
            before, base = clusters.pop()
            clusters.append((max(before, level, key=abs), base + character))
        else:
            clusters.append((level, character))
    runs = Markup()
    for level, run in groupby(clusters, key=itemgetter(0)):
        shown = Markup().join(_escape_visibly(character) for _, part in run for character in part)
        name = f"{'for' if level > 0 else 'against'}{abs(level)}"
        runs += Markup('<b class="{}">{}</b>').format(name, shown) if level else shown
    return Markup("<bdi class=text>{}</bdi>").format(runs) + _describe_rest(text, limit)


def escape_character(character: str) -> Markup:
    """Return a character by itself as HTML: a space as ␣, a combining one on a dotted circle."""
    if unicodedata.category(character).startswith("M"):
        character = f"\u25cc{character}"
    return escape_html(character.replace(" ", "\u2423"))


def character_name(character: str) -> str:
    """Return code point and name, as `U+200B ZERO WIDTH SPACE`, of a control its symbol's."""
    name = unicodedata.name(_PICTURES.get(character, character), "").removeprefix("SYMBOL FOR ")
    return f"U+{ord(character):04X} {name or _NAMELESS[unicodedata.category(character)]}"


def needs_name(character: str) -> bool:
    """Return whether its shape may be mistaken: true but for the visible characters of ASCII."""
    return not "!" <= character <= "~"


def _escape_visibly(character: str) -> Markup:
    if not is_invisible(character):
        return escape(character)
    return Markup('<i title="{}">{}</i>').format(
        character_name(character), python_escape(character)
    )

"""Text of users, made safe and visible: in HTML and on a terminal."""

from __future__ import annotations

import unicodedata

from markupsafe import Markup, escape

# Controls, formats (zero width, direction), not assigned, private use, surrogates; separators.
_INVISIBLE = {"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp", "Zs"}
_NAMELESS = {"Cc": "CONTROL", "Cn": "NOT ASSIGNED", "Co": "PRIVATE USE", "Cs": "SURROGATE"}
# Controls have no names of their own, but symbols that picture them have: "SYMBOL FOR NULL".
_PICTURES = {chr(code): chr(0x2400 + code) for code in range(0x20)} | {"\x7f": "\u2421"}


def escape_html(text: str, limit: int = 80) -> Markup:
    r"""Return the first `limit` characters of a text as HTML, with its length if it has more.

    A `bdi` element keeps the direction of the text from what surrounds it. An invisible character
    is written as Python does, as \u200b, with its name as a tooltip.
    """
    shown = Markup().join(map(_escape_visibly, text[:limit]))
    rest = f"<small>… {len(text):,} characters</small>" if len(text) > limit else ""
    return Markup("<bdi class=text>{}</bdi>{}").format(shown, Markup(rest))


def escape_character(character: str) -> Markup:
    """Return a character by itself as HTML: a space as ␣, a combining one on a dotted circle."""
    if unicodedata.category(character).startswith("M"):
        character = f"\u25cc{character}"
    return escape_html(character.replace(" ", "\u2423"))


def escape_terminal(text: str, limit: int) -> str:
    r"""Return a text in at most `limit` columns, … for its rest, invisible ones as \x1b.

    No character of it moves the cursor, changes colours or reverses the direction.
    """
    # A character takes a column or more: none after these would fit.
    shown = "".join(_python_escape(c) if _is_invisible(c) else c for c in text[: limit + 1])
    return shown if len(shown) <= limit else f"{shown[: limit - 1]}…"


def character_name(character: str) -> str:
    """Return code point and name, as `U+200B ZERO WIDTH SPACE`, of a control its symbol's."""
    name = unicodedata.name(_PICTURES.get(character, character), "").removeprefix("SYMBOL FOR ")
    return f"U+{ord(character):04X} {name or _NAMELESS[unicodedata.category(character)]}"


def needs_name(character: str) -> bool:
    """Return whether its shape may be mistaken: true but for the visible characters of ASCII."""
    return not "!" <= character <= "~"


def _escape_visibly(character: str) -> Markup:
    if not _is_invisible(character):
        return escape(character)
    return Markup('<i title="{}">{}</i>').format(
        character_name(character), _python_escape(character)
    )


def _is_invisible(character: str) -> bool:
    return character != " " and unicodedata.category(character) in _INVISIBLE


def _python_escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")

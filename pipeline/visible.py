"""Any text as HTML in which every character can be seen, and none does harm."""

from __future__ import annotations

import unicodedata
from html import escape

# Controls, formats (zero width, direction), not assigned, private use, surrogates; separators.
_UNSEEN = {"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp", "Zs"}
_NAMELESS = {"Cc": "CONTROL", "Cn": "NOT ASSIGNED", "Co": "PRIVATE USE", "Cs": "SURROGATE"}
# Controls have no names of their own, but symbols that picture them have: "SYMBOL FOR NULL".
_PICTURES = {chr(code): chr(0x2400 + code) for code in range(0x20)} | {"\x7f": "\u2421"}


def show_text(text: str, limit: int = 80) -> str:
    r"""The first `limit` characters of `text`, set apart so that its direction stays inside.

    A character that cannot be seen is replaced by what Python would write, as \u200b.
    """
    seen = "".join(_show(character) for character in text[:limit])
    rest = f"<small>… {len(text):,} characters</small>" if len(text) > limit else ""
    return f"<bdi class=text>{seen}</bdi>{rest}"


def show_character(character: str) -> str:
    """One character on its own."""
    if character == " ":
        character = "\u2423"
    if unicodedata.category(character).startswith("M"):
        character = f"\u25cc{character}"
    return f"<bdi class=text>{''.join(map(_show, character))}</bdi>"


def name_character(character: str) -> str:
    """Code point and name, as `U+200B ZERO WIDTH SPACE`; of a control, the name of its picture."""
    named = unicodedata.name(_PICTURES.get(character, character), "").removeprefix("SYMBOL FOR ")
    return f"U+{ord(character):04X} {named or _NAMELESS[unicodedata.category(character)]}"


def needs_name(character: str) -> bool:
    """Whether its shape may not tell which it is: all but the visible ones of ASCII."""
    return not "!" <= character <= "~"


def _show(character: str) -> str:
    if character == " " or unicodedata.category(character) not in _UNSEEN:
        return escape(character)
    seen = character.encode("unicode_escape").decode("ascii")
    return f'<i title="{escape(name_character(character))}">{seen}</i>'

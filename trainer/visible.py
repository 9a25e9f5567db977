"""Any text as HTML or on a terminal: every character can be seen, and none does harm."""

from __future__ import annotations

import unicodedata
from html import escape

# Controls, formats (zero width, direction), not assigned, private use, surrogates; separators.
_UNSEEN = {"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp", "Zs"}


def show_text(text: str, limit: int = 80) -> str:
    r"""The first `limit` characters of `text`, set apart so that its direction stays inside.

    A character that cannot be seen is replaced by what Python would write, as \u200b.
    """
    seen = "".join(
        f"<i>{_written(character)}</i>" if _is_unseen(character) else escape(character)
        for character in text[:limit]
    )
    rest = f"<small>… {len(text):,} characters</small>" if len(text) > limit else ""
    return f"<bdi class=text>{seen}</bdi>{rest}"


def plain_text(text: str, limit: int) -> str:
    r"""`text` in at most `limit` characters, with … for its rest; what cannot be seen as \x1b."""
    # A character takes one place or more: what is cut here would not fit.
    seen = "".join(_written(one) if _is_unseen(one) else one for one in text[: limit + 1])
    return seen if len(seen) <= limit else f"{seen[: limit - 1]}…"


def _is_unseen(character: str) -> bool:
    return character != " " and unicodedata.category(character) in _UNSEEN


def _written(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")

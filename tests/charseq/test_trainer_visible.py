"""Text for a page and for a terminal: every character to be seen, none doing harm."""

from __future__ import annotations

import pytest

from trainer.visible import plain_text, show_text


@pytest.mark.parametrize(
    ("text", "html", "plain"),
    [
        ("<b>&'\"", "&lt;b&gt;&amp;&#x27;&quot;", "<b>&'\""),
        ("a  b", "a  b", "a  b"),
        ("שלום é 😀", "שלום é 😀", "שלום é 😀"),
        ("\x00", "<i>\\x00</i>", "\\x00"),
        ("a\nb", "a<i>\\n</i>b", "a\\nb"),
        ("\x1b[31m", "<i>\\x1b</i>[31m", "\\x1b[31m"),
        ("\u202e", "<i>\\u202e</i>", "\\u202e"),
    ],
)
def test_what_is_shown_for_a_text(text, html, plain):
    assert show_text(text) == f"<bdi class=text>{html}</bdi>"
    assert plain_text(text, 20) == plain


def test_a_long_text_is_cut():
    assert show_text("&" * 50_000, limit=2) == (
        "<bdi class=text>&amp;&amp;</bdi><small>… 50,000 characters</small>"
    )
    assert plain_text("abcd", 4) == "abcd"
    assert plain_text("abcde", 4) == "abc…"
    assert plain_text("ab\x00", 4) == "ab\\…"

"""Text as HTML: every character to be seen, none doing harm."""

from __future__ import annotations

import pytest

from pipeline.visible import name_character, needs_name, show_character, show_text


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("<b>&'\"", "&lt;b&gt;&amp;&#x27;&quot;"),
        ("a  b", "a  b"),
        ("שלום é 😀", "שלום é 😀"),
        ("\x00", '<i title="U+0000 NULL">\\x00</i>'),
        ("\t", '<i title="U+0009 HORIZONTAL TABULATION">\\t</i>'),
        ("a\u200bb", 'a<i title="U+200B ZERO WIDTH SPACE">\\u200b</i>b'),
        ("\u202e", '<i title="U+202E RIGHT-TO-LEFT OVERRIDE">\\u202e</i>'),
        ("\x85", '<i title="U+0085 CONTROL">\\x85</i>'),
        ("\U000e0fff", '<i title="U+E0FFF NOT ASSIGNED">\\U000e0fff</i>'),
        ("\ue000", '<i title="U+E000 PRIVATE USE">\\ue000</i>'),
    ],
)
def test_what_is_shown_for_a_text(text: str, html: str) -> None:
    assert show_text(text) == f"<bdi class=text>{html}</bdi>"


def test_a_long_text_is_cut_before_it_is_escaped() -> None:
    assert show_text("&" * 5) == f"<bdi class=text>{'&amp;' * 5}</bdi>"
    assert show_text("&" * 50_000, limit=2) == (
        "<bdi class=text>&amp;&amp;</bdi><small>… 50,000 characters</small>"
    )


def test_one_character() -> None:
    assert show_character(" ") == "<bdi class=text>\u2423</bdi>"
    assert show_character("\u0301") == "<bdi class=text>\u25cc\u0301</bdi>"
    assert name_character("\x7f") == "U+007F DELETE"
    assert name_character("\U0001f600") == "U+1F600 GRINNING FACE"
    named = [char for char in "A~ \té\u0410\u200b" if needs_name(char)]
    assert named == [" ", "\t", "é", "\u0410", "\u200b"]

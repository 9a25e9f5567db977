"""Text of users in HTML and on a terminal: every character is visible, none does harm."""

from __future__ import annotations

import unicodedata
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from charseq.console.terminal import escape_terminal
from charseq.html.escape import (
    character_name,
    escape_character,
    escape_html,
    escape_marked,
    needs_name,
)

pytestmark = pytest.mark.unit

# Some that matter, and any others, lone surrogates too.
TEXTS = st.text(st.sampled_from("<>&\"'\\ \x00\x1b\n\u200b\u202e\u2028\ud800é😀") | st.characters())


@pytest.mark.parametrize(
    ("text", "html", "terminal"),
    [
        ("<b>&'\"", "&lt;b&gt;&amp;&#39;&#34;", "<b>&'\""),
        ("a  b", "a  b", "a  b"),
        ("שלום é 😀", "שלום é 😀", "שלום é 😀"),
        ("\x00", '<i title="U+0000 NULL">\\x00</i>', "\\x00"),
        ("\t", '<i title="U+0009 HORIZONTAL TABULATION">\\t</i>', "\\t"),
        ("a\nb", 'a<i title="U+000A LINE FEED">\\n</i>b', "a\\nb"),
        ("\x1b[31m", '<i title="U+001B ESCAPE">\\x1b</i>[31m', "\\x1b[31m"),
        ("a\u200bb", 'a<i title="U+200B ZERO WIDTH SPACE">\\u200b</i>b', "a\\u200bb"),
        ("\u202e", '<i title="U+202E RIGHT-TO-LEFT OVERRIDE">\\u202e</i>', "\\u202e"),
        ("\x85", '<i title="U+0085 CONTROL">\\x85</i>', "\\x85"),
        ("\U000e0fff", '<i title="U+E0FFF NOT ASSIGNED">\\U000e0fff</i>', "\\U000e0fff"),
        ("\ue000", '<i title="U+E000 PRIVATE USE">\\ue000</i>', "\\ue000"),
        ("\ud800", '<i title="U+D800 SURROGATE">\\ud800</i>', "\\ud800"),
    ],
)
def test_a_text_is_safe_and_visible(text: str, html: str, terminal: str) -> None:
    assert escape_html(text) == f"<bdi class=text>{html}</bdi>"
    assert escape_terminal(text, 20) == terminal


def test_a_long_text_is_cut_before_it_is_escaped() -> None:
    assert escape_html("&" * 5) == f"<bdi class=text>{'&amp;' * 5}</bdi>"
    assert escape_html("&" * 50_000, limit=2) == (
        "<bdi class=text>&amp;&amp;</bdi><small>… 50,000 characters</small>"
    )
    assert escape_terminal("abcd", 4) == "abcd"
    assert escape_terminal("abcde", 4) == "abc…"
    assert escape_terminal("ab\x00", 4) == "ab\\…"


def test_html_is_not_escaped_again() -> None:
    assert isinstance(escape_html("<"), Markup)
    assert isinstance(escape_character("<"), Markup)


def test_a_character_by_itself() -> None:
    assert escape_character("<") == "<bdi class=text>&lt;</bdi>"
    assert escape_character(" ") == "<bdi class=text>\u2423</bdi>"
    assert escape_character("\u0301") == "<bdi class=text>\u25cc\u0301</bdi>"


def test_names_of_characters_whose_shape_may_be_mistaken() -> None:
    assert character_name("\x7f") == "U+007F DELETE"
    assert character_name("\U0001f600") == "U+1F600 GRINNING FACE"
    named = [char for char in "A~ \té\u0410\u200b" if needs_name(char)]
    assert named == [" ", "\t", "é", "\u0410", "\u200b"]


class Elements(HTMLParser):
    """The tags and the text of HTML."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


@given(TEXTS)
def test_no_text_becomes_markup_or_hides_a_character(text: str) -> None:
    elements = Elements(str(escape_html(text, limit=1_000)))
    assert elements.tags[0] == "bdi"
    assert set(elements.tags[1:]) <= {"i"}
    assert elements.text == escape_terminal(text, 10_000)


@given(TEXTS, st.integers(1, 40))
def test_a_terminal_shows_every_character_within_the_limit(text: str, limit: int) -> None:
    shown = escape_terminal(text, limit)
    assert len(shown) <= limit
    assert not any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in shown)


def test_characters_are_marked_by_their_levels():
    # The accent has the stronger level, and is not cut off from its letter.
    marked = escape_marked("a<be\u0301\x00", (4, 4, 0, 1, -3, 2))
    assert marked == (
        '<bdi class=text><b class="for4">a&lt;</b>b<b class="against3">e\u0301</b>'
        '<b class="for2"><i title="U+0000 NULL">\\x00</i></b></bdi>'
    )
    assert escape_marked("abc", (0, 0, 0), limit=2) == (
        "<bdi class=text>ab</bdi><small>… 3 characters</small>"
    )

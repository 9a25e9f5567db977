"""Text of users in Markdown is read as itself by a parser of CommonMark."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from charseq.console.terminal import escape_terminal
from trainer.evaluate.markdown import escape_markdown, make_table

pytestmark = pytest.mark.unit

PARSER = MarkdownIt("commonmark").enable("table")
PARTS = {"table", "thead", "tbody", "tr", "th", "td", "inline"}
HOSTILE = [
    "a|b",
    "a\\|b",
    "trailing\\",
    "`code`",
    "``",
    "*x* __y__ ~~z~~",
    "[x](javascript:alert(1))",
    "![x](http://e/x.png)",
    "<script>alert(1)</script>",
    "&lt;&amp;",
    "line\nbreak\r\n# head",
    "\x1b[31m\u202e",
    " ",
    "  two  ",
    "$x$ :smile: @name www.example.org",
    "---",
    "- 1. +",
    "😀שלום",
]


def cells_of(markdown: str) -> list[str]:
    """Return the text of the cells of the only table, and check that nothing else is there."""
    tokens = PARSER.parse(markdown)
    assert {token.type.removesuffix("_open").removesuffix("_close") for token in tokens} <= PARTS
    cells = []
    for token in tokens:
        if token.type == "inline":
            assert {child.type for child in token.children or ()} <= {"text", "text_special"}
            cells.append("".join(child.content for child in token.children or ()))
    return cells


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_text_is_one_cell_of_a_table(text: str) -> None:
    lines = make_table(("label", "rows"), [(escape_markdown(text), "7"), ("next", "8")])
    cells = cells_of("\n".join(lines))
    assert cells == ["label", "rows", escape_terminal(text), "7", "next", "8"]


@given(st.text(st.sampled_from("|\\`*_[]()<>&# \n\t$~!-=+.1aé") | st.characters(), max_size=30))
def test_any_text_is_one_cell_of_a_table(text: str) -> None:
    lines = make_table(("", "rows"), [(escape_markdown(text), "7")])
    assert cells_of("\n".join(lines)) == ["", "rows", escape_terminal(text), "7"]


def test_a_long_text_is_cut() -> None:
    assert escape_markdown("x_" * 50, 3) == r"x\_x… (100 characters)"
    assert escape_markdown("x" * 80) == "x" * 80


def test_columns_with_a_name_are_of_numbers() -> None:
    assert make_table(("label", "rows"), [("x", "1")]) == [
        "| label | rows |",
        "| --- | ---: |",
        "| x | 1 |",
        "",
    ]
    assert make_table(("", ""), []) == ["|  |  |", "| --- | --- |", ""]

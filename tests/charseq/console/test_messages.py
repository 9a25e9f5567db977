"""Messages stay short, and say what differs."""

from __future__ import annotations

import io
import sys
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charseq.cli import exit_status
from charseq.console.messages import (
    MAX_MESSAGE,
    compare_names,
    name_first,
    shorten_message,
    shorten_value,
)
from charseq.errors import DataError, UsageError
from pipeline.options import parse_command_line

pytestmark = pytest.mark.unit


@given(st.text(max_size=300), st.integers(60, 120))
def test_a_message_keeps_its_start_and_its_end(text: str, limit: int) -> None:
    short = shorten_message(text, limit)
    if len(text) <= limit:
        assert short == text
    else:
        assert len(short) == limit
        assert short[:15] == text[:15]
        assert short[-5:] == text[-5:]
        assert f"({len(text):,} characters in all)" in short


def test_what_was_left_out_is_said() -> None:
    assert shorten_message("a" * 90 + "b" * 10, 60) == (
        "a" * 20 + " ... (100 characters in all) ... " + "b" * 7
    )


def test_values_and_lists_show_their_size() -> None:
    assert shorten_value("x" * 60) == "x" * 60
    assert shorten_value("x" * 5000) == "x" * 60 + "… (5,000 characters)"
    assert name_first(["a", "b", "c"]) == "a, b, c"
    assert name_first(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"


def test_lists_of_names_are_compared_by_place() -> None:
    names = [f"label {n}" for n in range(3000)]
    assert compare_names(names[::-1], names) == (
        "got 3,000, expected 3,000; at 0: 'label 2999', expected 'label 0', at 1: 'label 2998', "
        "expected 'label 1', at 2: 'label 2997', expected 'label 2' and 2,997 more"
    )
    assert compare_names(names[:99], names[:98]) == (
        "got 99, expected 98; at 98: 'label 98', expected nothing"
    )
    assert compare_names(["y", "x"], ["x", "y"]) == "got y, x, expected x, y"


def fail_with(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize("kind", [DataError, UsageError, OSError])
@pytest.mark.parametrize("text", ["y" * 100_000, "\x1b" * 1500, "é\n" * 2000])
def test_no_error_of_a_command_is_longer_than_2000_characters(
    capsys: pytest.CaptureFixture[str], kind: type[Exception], text: str
) -> None:
    assert exit_status(partial(fail_with, kind(f"rows.csv: {text}; try --format"))) in (1, 2)
    error = capsys.readouterr().err
    assert len(error) <= MAX_MESSAGE + 1
    assert error.startswith("error: rows.csv: ")
    assert error.endswith("; try --format\n")


def test_a_message_counts_as_it_is_escaped_for_the_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, encoding="ascii")
    monkeypatch.setattr(sys, "stderr", stream)
    assert exit_status(partial(fail_with, DataError("字" * 1500))) == 1
    stream.flush()
    assert len(written.getvalue()) <= MAX_MESSAGE + 1


def test_an_argument_in_a_message_of_argparse_is_shortened(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        parse_command_line(["--input", "i", "--output", "o", "--encoding", "z" * 9000])
    assert len(capsys.readouterr().err) <= MAX_MESSAGE

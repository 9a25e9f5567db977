"""Nothing that a command prints has a control character, whatever the encoding of the stream."""

from __future__ import annotations

import io
import sys
from contextlib import redirect_stderr, redirect_stdout

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charseq.cli import exit_status
from charseq.console.terminal import EscapingStream, escape_terminal, escaped_output
from charseq.errors import DataError

pytestmark = pytest.mark.unit

HOSTILE = "\x1b]0;owned\x07\r\u202eé\udcf1"
HOSTILE_SHOWN = "\\x1b]0;owned\\x07\\r\\u202eé\\udcf1"


def stream_of(encoding: str) -> tuple[EscapingStream, io.BytesIO]:
    data = io.BytesIO()
    strict = io.TextIOWrapper(data, encoding=encoding, errors="strict", write_through=True)
    return EscapingStream(strict), data


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("utf-8", b"a\\x1bb\n\\t\xc3\xa9\xe2\x80\xa6\\udcf1"),
        ("latin-1", b"a\\x1bb\n\\t\xe9\\u2026\\udcf1"),
        ("ascii", b"a\\x1bb\n\\t\\xe9\\u2026\\udcf1"),
    ],
)
def test_text_that_a_stream_cannot_show_is_escaped(encoding: str, expected: bytes) -> None:
    stream, data = stream_of(encoding)
    assert stream.write("a\x1bb\n\té…\udcf1") == 8
    assert data.getvalue() == expected


@given(st.text(st.characters() | st.sampled_from("\x1b\n\udc80")))
def test_only_the_ends_of_lines_are_left_as_they_are(text: str) -> None:
    stream, data = stream_of("ascii")
    stream.write(text)
    shown = data.getvalue().decode("ascii")
    assert shown.replace("\n", "").isprintable()
    assert shown.count("\n") == text.count("\n")
    assert escape_terminal(escape_terminal(text)) == escape_terminal(text)


def test_a_command_prints_nothing_unescaped(capsys: pytest.CaptureFixture[str]) -> None:
    def command() -> None:
        print(HOSTILE)
        print(HOSTILE, file=sys.stderr)
        raise DataError(HOSTILE)

    before = sys.stdout, sys.stderr
    assert exit_status(command) == 1
    assert (sys.stdout, sys.stderr) == before
    printed = capsys.readouterr()
    assert printed.out == f"{HOSTILE_SHOWN}\n"
    assert printed.err == f"{HOSTILE_SHOWN}\nerror: {HOSTILE_SHOWN}\n"


def test_streams_are_themselves_again_after_an_error() -> None:
    before = sys.stdout, sys.stderr
    with pytest.raises(KeyError), escaped_output():
        raise KeyError
    assert (sys.stdout, sys.stderr) == before


def test_a_command_without_standard_streams_ends_as_with_them() -> None:
    def fail() -> None:
        print("a result")
        raise DataError("a message")

    with redirect_stdout(None), redirect_stderr(None):
        assert exit_status(fail) == 1

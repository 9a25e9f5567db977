"""The line of status on a terminal."""

from __future__ import annotations

import io

import pytest

from charseq.console.progress import StatusLine

pytestmark = pytest.mark.unit

ERASE_LINE = "\x1b[2K"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def use_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Make standard error a terminal: in the test, since pytest sets its own after fixtures."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "40")
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    return stream


def test_the_line_is_rewritten_in_place_and_erased(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = use_terminal(monkeypatch)
    line = StatusLine()
    assert line.is_terminal
    line.update("10 rows")
    line.update("20 rows")
    assert "\n" not in terminal.getvalue()
    assert terminal.getvalue().endswith(f"\r{ERASE_LINE}20 rows")
    line.clear()
    assert terminal.getvalue().endswith(ERASE_LINE)
    line.update("30 rows")
    assert terminal.getvalue().endswith("30 rows")
    line.clear()


def test_text_wider_than_the_terminal_stays_on_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = use_terminal(monkeypatch)
    line = StatusLine()
    line.update("x" * 50)
    assert terminal.getvalue().endswith("x" * 39 + "…")
    line.clear()


def test_markup_is_shown_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = use_terminal(monkeypatch)
    line = StatusLine()
    line.update("[bold]a[/bold]")
    assert "[bold]a[/bold]" in terminal.getvalue()
    line.clear()


@pytest.mark.parametrize("variable", ["FORCE_COLOR", "TTY_COMPATIBLE"])
def test_a_log_is_no_terminal_whatever_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "1")
    monkeypatch.setattr("sys.stderr", io.StringIO())
    assert not StatusLine().is_terminal


def test_a_dumb_terminal_cannot_show_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    use_terminal(monkeypatch)
    monkeypatch.setenv("TERM", "dumb")
    assert not StatusLine().is_terminal

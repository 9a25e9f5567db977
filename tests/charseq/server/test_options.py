"""The flags of charseq serve, and its token."""

from __future__ import annotations

from pathlib import Path

import pytest

from charseq.console.redaction import redact
from charseq.errors import DataError, UsageError
from charseq.server.__main__ import main
from charseq.server.options import ServeOptions, read_token
from charseq.server.serving import WITHOUT_TOKEN

pytestmark = pytest.mark.unit

TOKEN = "0123456789abcdef"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--port", "65536"], "--port: got 65536, expected 0 to 65535"),
        (["--max-rows", "0"], "--max-rows: got 0, expected 1 or more"),
        (["--timeout", "0"], "--timeout: got 0.0, expected a number above 0, at most 3600"),
        (["--tls-cert", "a"], "--tls-cert: only with --tls-key"),
        (["--tls-key", "a"], "--tls-key: only with --tls-cert"),
        (["--allow-origin", "example.org"], "--allow-origin: got 'example.org', expected one as"),
    ],
)
def test_a_wrong_flag_is_named(
    flags: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--registry", "models", *flags]) == 2
    assert message in capsys.readouterr().err


def test_a_token_comes_from_a_file_or_from_the_environment(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    other = {"CHARSEQ_TOKEN": TOKEN[::-1]}
    assert read_token(ServeOptions("m", token_file=str(tmp_path / "token")), other) == (
        TOKEN.encode()
    )
    assert read_token(ServeOptions("m"), other) == TOKEN[::-1].encode()
    assert read_token(ServeOptions("m"), {}) is None


@pytest.mark.parametrize("token", ["", "short", "0123456789 abcdef", "0123456789abcdé0"])
def test_a_token_that_could_be_guessed_or_not_be_sent_is_refused(token: str) -> None:
    with pytest.raises(DataError, match="CHARSEQ_TOKEN: got "):
        read_token(ServeOptions("m"), {"CHARSEQ_TOKEN": token})


def test_origins_of_several_flags() -> None:
    with pytest.raises(UsageError, match="--allow-origin"):
        ServeOptions("m", allow_origin=("https://a.example", "b.example"))


def test_how_to_set_a_token_is_printed_whole() -> None:
    """Commands print no tokens, nor what looks like one."""
    assert redact(f"0.0.0.0 {WITHOUT_TOKEN}") == f"0.0.0.0 {WITHOUT_TOKEN}"

"""charseq ask as a user types it."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from charseq.ask.__main__ import main
from tests.support.paths import ROOT
from tests.support.toy_model import save_toy_model


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory."""
    folder = tmp_path_factory.mktemp("run")
    save_toy_model(folder / "saved_model", with_ids=True, more=("explain", "predict_set"))
    (folder / "run.json").write_text("{}")
    return folder


Ask = Callable[..., tuple[int, str, str]]


@pytest.fixture
def ask(run: Path, capsys: pytest.CaptureFixture[str]) -> Ask:
    def call(*argv: str) -> tuple[int, str, str]:
        status = main(["--model", str(run), *argv])
        return (status, *capsys.readouterr())

    return call


def test_sequences_of_the_command_line_are_answered_in_lines(ask: Ask) -> None:
    assert ask("ABCD", "é\x1b") == (
        0,
        "is A         25.0 %  ABCD\nis é         50.0 %  é\\x1b\n",
        "",
    )


def test_json_is_a_line_for_each_sequence(ask: Ask) -> None:
    status, out, _ = ask("--json", "AB", "B", "--influence=true", "--coverage=0.5")
    assert status == 0
    assert [json.loads(line) for line in out.splitlines()] == [
        {
            "sequence": "AB",
            "label": "is A",
            "probability": 0.5,
            "set": ["is A"],
            "influence": [0.5, 0.25],
        },
        {
            "sequence": "B",
            "label": "is B",
            "probability": 1.0,
            "set": ["is B"],
            "influence": [0.5],
        },
    ]


def test_standard_input_that_is_closed_is_said(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    status, out, error = ask("-")
    assert (status, out) == (2, "")
    assert error == "error: -: standard input is closed, expected a sequence a line\n"


def test_standard_output_that_is_closed_is_said(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.__stdout__", None)
    status, _, error = ask("A")
    assert status == 1
    assert error == "error: standard output is closed: there is nowhere to answer\n"


def test_standard_input_is_answered_line_by_line_also_where_one_cannot_be(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "rows").write_bytes(b"AB\n\n\xff\nC\r\n")
    with (tmp_path / "rows").open() as file:
        monkeypatch.setattr("sys.stdin", file)
        status, out, error = ask("--json", "-")
    assert status == 3
    assert [json.loads(line).get("rejected") for line in out.splitlines()] == [
        None,
        "empty_sequence",
        "invalid_utf8",
        None,
    ]
    assert error == (
        "error: 2 of 4 sequences have no answer, first number 2: no character in the sequence, or "
        "nothing but blanks\n"
    )


def test_what_a_model_cannot_say_is_not_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = str(save_toy_model(tmp_path / "model"))
    for name in ("--influence=true", "--coverage=0.5"):
        assert main(["--model", model, "A", name]) == 1
        error = capsys.readouterr().err
        assert error.startswith(f"error: {name.partition('=')[0]}: the model of {model} was ")
    assert main(["--model", model, "A", "--influence=false"]) == 0


def test_a_command_line_that_cannot_be_meant_is_refused(ask: Ask) -> None:
    status, _, error = ask("AB", "-")
    assert (status, error) == (
        2,
        "error: -: stands for standard input, without other sequences\n",
    )
    assert ask("AB", "--coverage=1.5")[0] == 2


def test_on_a_terminal_a_line_is_answered_at_once_and_marked(run: Path) -> None:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80"}
    environment.pop("NO_COLOR", None)
    command = [sys.executable, "-m", "charseq", "ask", "--model", str(run), "-"]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=theirs, bufsize=0
    ) as process:
        assert process.stdin
        process.stdin.write(b"AB\n")
        answered = b""
        while b"\n" not in answered:
            answered += os.read(ours, 1000)
        process.stdin.close()
        assert process.wait() == 0
    for end in (ours, theirs):
        os.close(end)
    assert answered.decode() == (
        "is A         50.0 %  {is A, is unknown}  "
        "\x1b[30;48;5;77mA\x1b[0m\x1b[30;48;5;157mB\x1b[0m\r\n"
    )

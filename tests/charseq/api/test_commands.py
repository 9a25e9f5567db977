"""A command in a process of its own: its options, its output, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from charseq.api import commands
from charseq.api.commands import options_to_json, run_command
from charseq.api.output import Output
from charseq.errors import DataError, MismatchError, UsageError
from trainer.config import parse_command_line


def replace_command(monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Let `run_command` run a script, which finds the file of its options in `options`."""
    start = f"import os, signal, sys, time\noptions = sys.argv[4]\n{script}"
    monkeypatch.setattr(commands, "_START", start)


@pytest.mark.unit
def test_options_are_written_as_the_command_reads_them() -> None:
    options = {
        "max_length": "auto",
        "from_": Path("runs/a"),
        "units": (8, np.int64(6)),
        "input": np.array(["a", "b"]),
        "strip": np.bool_(False),
        "fold": None,
        "split": {"train": 1}.keys(),
        "beam": {"runner": "FlinkRunner"},
    }
    assert json.loads(options_to_json(options)) == {
        "max_length": "auto",
        "from": "runs/a",
        "units": [8, 6],
        "input": ["a", "b"],
        "strip": False,
        "split": ["train"],
        "beam": {"runner": "FlinkRunner"},
    }
    with pytest.raises(UsageError, match=r"^seed: got <object .*>, expected a text, a number"):
        options_to_json({"seed": object()})


def test_what_is_printed_is_shown_as_it_comes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = """
print("one")
os.write(1, "two \\u00e9, no newline".encode())
print('{"stage": "reading", "rows": 3, "seconds": 2.0}\\n{"stage": 1', file=sys.stderr)
print("note: \\x1b[2J", file=sys.stderr)
"""
    replace_command(monkeypatch, script)
    run_command("prepare", {})
    shown = capsys.readouterr()
    assert shown.out == "one\ntwo é, no newline\n"
    assert shown.err == 'reading: 3 rows, 2 s so far\n{"stage": 1\nnote: \\x1b[2J\n'


@pytest.mark.parametrize(
    ("script", "error", "message"),
    [
        ("sys.exit('error: a\\n  b')", DataError, "a\n  b"),
        ("print('error: a', file=sys.stderr); sys.exit(2)", UsageError, "a"),
        ("print('error: a', file=sys.stderr); sys.exit(3)", MismatchError, "a"),
        ("sys.exit(f'error: --options: {options}: no option')", DataError, "no option"),
        (
            "sys.exit(143)",
            DataError,
            "charseq train ended with exit status 143; what it printed says why",
        ),
        (
            "os.kill(os.getpid(), signal.SIGKILL)",
            DataError,
            "charseq train was killed (SIGKILL), as a machine that lacks memory does",
        ),
        ("os.kill(os.getpid(), signal.SIGTERM)", DataError, "charseq train was ended by SIGTERM"),
    ],
)
def test_a_failure_is_an_error_with_the_message_of_the_command(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    script: str,
    error: type[Exception],
    message: str,
) -> None:
    replace_command(monkeypatch, f"print('note', file=sys.stderr)\n{script}")
    with pytest.raises(error) as raised:
        run_command("train", {})
    assert (type(raised.value), str(raised.value)) == (error, message)
    assert capsys.readouterr().err == "note\n"


def test_an_option_that_does_not_exist_and_a_value_that_is_not_accepted() -> None:
    with pytest.raises(UsageError, match=r"^no option 'epoch'; is 'epochs' meant\?$"):
        run_command("train", {"data": "d", "output": "o", "epoch": 3})
    with pytest.raises(UsageError, match=r"^--epochs: got 0, expected 1 or more$"):
        run_command("train", {"data": "d", "output": "o", "epochs": 0})


def test_modules_of_the_working_directory_are_not_taken_for_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("trainer", "charseq", "json"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('of the user')")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"^d: no such directory$"):
        run_command("train", {"data": "d", "output": "o"})


def test_an_interrupt_ends_the_command_and_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = f"""
def end(*_):
    time.sleep(0.5)
    open({str(tmp_path / "ended")!r}, "w").close()
    print("interrupted", file=sys.stderr)
    sys.exit(130)
signal.signal(signal.SIGINT, end)
open({str(tmp_path / "started")!r}, "w").close()
time.sleep(60)
"""
    replace_command(monkeypatch, script)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=interrupt_after, args=(tmp_path / "started",), daemon=True).start()
    try:
        with pytest.raises(KeyboardInterrupt):
            run_command("train", {})
    finally:
        signal.signal(signal.SIGINT, before)
    assert (tmp_path / "ended").exists()
    assert capsys.readouterr().err == "interrupted\n"


def interrupt_after(path: Path) -> None:
    while not path.exists():
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGINT)


def test_a_stream_that_a_grandchild_holds_open_is_not_waited_for() -> None:
    script = "import subprocess; subprocess.Popen(['sleep', '30']); print('done', flush=True)"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        started = time.monotonic()
        with Output(process) as output:
            output.show()
        assert time.monotonic() - started < 15


@pytest.mark.unit
def test_a_file_of_json_holds_options_with_every_python(tmp_path: Path) -> None:
    path = tmp_path / "options.json"
    path.write_text('{"data": ["d"], "output": "o", "from": "r", "overwrite": false, "units": [8]}')
    config = parse_command_line(["--options", str(path)])
    assert (config.data, config.from_, config.overwrite, config.units) == (("d",), "r", False, (8,))
    path.write_text("[1]")
    with pytest.raises(UsageError, match=r"options.json: got \[1\], expected a JSON object$"):
        parse_command_line(["--options", str(path)])
    path.write_text("{")
    with pytest.raises(UsageError, match=r"^--options: .*options.json: Expecting property name"):
        parse_command_line(["--options", str(path)])

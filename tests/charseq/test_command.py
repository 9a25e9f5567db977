"""charseq COMMAND: the commands of pipeline and trainer by one name."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import pytest

from charseq.command import COMMANDS, describe_commands
from tests.support.paths import ROOT

pytestmark = pytest.mark.unit


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "charseq", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_each_command_is_a_module_that_can_be_run() -> None:
    for command in COMMANDS.values():
        names = (command.module, f"{command.module}.__main__")
        paths = [ROOT.joinpath(*name.split(".")).with_suffix(".py") for name in names]
        assert any(path.is_file() for path in paths), command.module
        assert find_spec(command.module.partition(".")[0])


def test_help_fits_a_screen_and_imports_next_to_nothing() -> None:
    assert len(describe_commands().splitlines()) <= 24
    assert max(map(len, describe_commands().splitlines())) <= 80
    script = (
        "import sys; from charseq.command import main; sys.argv = ['charseq', '--help']; main();"
        "print(sorted({name.partition('.')[0] for name in sys.modules} & "
        "{'numpy', 'tensorflow', 'apache_beam', 'pipeline', 'trainer', 'jinja2', 'rich'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.endswith("\n[]\n")
    assert run().stdout == run("--help").stdout == f"{describe_commands()}\n"


def test_a_command_says_what_its_user_typed() -> None:
    done = run("sample", "--rows", "0")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith("see charseq sample --help\n")
    assert run("sample", "--help").stdout.startswith("usage: charseq sample ")


def test_an_unknown_command_is_named() -> None:
    done = run("prepar", "--input", "a")
    assert done.returncode == 2
    assert done.stderr == (
        "error: 'prepar' is no command; expected one of sample, prepare, inspect, verify, "
        "compare, train, evaluate, promote, export, predict, ask, serve, demo\n"
    )


def test_verify_is_inspect_with_a_flag() -> None:
    done = run("verify", "nowhere")
    assert done.returncode == 1
    assert done.stderr.startswith("error: nowhere holds no dataset.json")

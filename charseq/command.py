"""charseq: one command for all of `python -m pipeline …` and `python -m trainer …`.

A command is looked up by name and run as `python -m` runs it: with the same options, in the same
way. Nothing else is imported, so that help is there at once; and a `pipeline.py` of the user's in
the working directory is not taken for ours.
"""

from __future__ import annotations

import runpy
import sys
from importlib.util import find_spec
from typing import NamedTuple

from charseq.console.messages import print_error
from charseq.running_as import run_as


class Command(NamedTuple):
    """A command: the module that `python -m` runs, what it does, and arguments of its own."""

    module: str
    summary: str
    arguments: tuple[str, ...] = ()


COMMANDS = {
    "sample": Command("pipeline.sample", "write generated sequences with labels, to try all this"),
    "prepare": Command("pipeline", "text files in, a dataset of TFRecords out"),
    "inspect": Command("pipeline.inspect", "show records of a dataset, or near-copies in it"),
    "verify": Command("pipeline.inspect", "read a dataset and check all of it", ("--verify",)),
    "compare": Command("pipeline.compare", "what changed between two datasets"),
    "train": Command("trainer", "a dataset in, a trained and exported model out"),
    "evaluate": Command("trainer.evaluate", "measure a model on a split, and write a report"),
    "promote": Command("trainer.promote", "put a model into a registry if it is better"),
    "export": Command("trainer.onnx", "write a model for ONNX, to run without TensorFlow"),
    "predict": Command("pipeline.predict", "labels and probabilities for the rows of text files"),
    "ask": Command("charseq.ask", "labels for sequences that you type, and why these"),
    "serve": Command("charseq.server", "the current model of a registry over HTTP"),
    "demo": Command("charseq.demo", "the whole way from a sample to predictions, in a minute"),
}
_USAGE = "usage: charseq COMMAND [OPTIONS]"
_INSTALL = {
    "pipeline": "pip install 'charseq[pipeline]'",
    "trainer": "pip install 'charseq[trainer]'",
}


def main() -> int:
    """Run the command that the command line names; return the exit status."""
    name, *arguments = sys.argv[1:] or ["--help"]
    if name in ("--help", "-h"):
        print(describe_commands())
        return 0
    if name not in COMMANDS:
        print_error(f"error: {name!r} is no command; expected one of {', '.join(COMMANDS)}")
        return 2
    return _run(name, COMMANDS[name], arguments)


def describe_commands() -> str:
    """Return the help text."""
    lines = [f"  {name:<10}{command.summary}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            _USAGE,
            "",
            "Character sequences to a trained LSTM, at any scale.",
            "",
            *lines,
            "",
            "charseq COMMAND --help shows the options of a command.",
        ]
    )


def _run(name: str, command: Command, arguments: list[str]) -> int:
    package = command.module.partition(".")[0]
    if find_spec(package) is None:
        print_error(f"error: charseq {name} is not installed: {_INSTALL[package]}")
        return 1
    run_as(f"charseq {name}")
    sys.argv = [f"charseq {name}", *command.arguments, *arguments]
    try:
        runpy.run_module(command.module, run_name="__main__", alter_sys=True)
    except SystemExit as left:
        return left.code if isinstance(left.code, int) else int(left.code is not None)
    return 0

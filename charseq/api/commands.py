"""A command, run in a process of its own: its options, its output, and its end as an error.

What a command sets for its process (threads, determinism, signals, the Keras of TensorFlow
Transform) stays out of this one.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import charseq.errors
from charseq.api.output import Output
from charseq.errors import DataError, MismatchError, UsageError

_ROOT = str(Path(charseq.errors.__file__).parents[1])
# Unlike -m, without the working directory, where a `trainer.py` of the user's may lie; and with the
# charseq that this process has imported.
_START = """\
import sys
root = sys.argv.pop(1)
sys.path = [path for path in sys.path if path]
if root not in sys.path:
    sys.path.insert(0, root)
from charseq.command import main
sys.exit(main())
"""
_ERRORS = {2: UsageError, 3: MismatchError}


def run_command(name: str, options: Mapping[str, Any]) -> None:
    """Run `charseq NAME` to its end, and show on `sys.stdout` and `sys.stderr` what it prints.

    Args:
        name: of the command.
        options: by the names of its flags, with underscores (`max_length`; `from_` for `from`): a
            text, a number, a path, True or False for a switch, a list where several values are
            accepted; None is as if the option were not there. `beam`: a dict of flags of Beam.

    Raises:
        UsageError: an option does not exist, or a value is not accepted.
        DataError: the command failed; the message is its own. MismatchError, a DataError, where its
            exit status is 3.
        KeyboardInterrupt: it was interrupted; the command has ended as it does at SIGINT.
    """
    with tempfile.TemporaryDirectory(prefix="charseq-") as folder:
        path = os.path.join(folder, "options.json")
        Path(path).write_text(options_to_json(options), encoding="ascii")
        process = _start(name, path)
        with Output(process) as output:
            try:
                output.show()
                status = process.wait()
            except BaseException:
                _end(process, output)
                raise
    if status:
        message = output.error.replace(f"--options: {path}: ", "") or _describe_end(name, status)
        raise _ERRORS.get(status, DataError)(message)


def options_to_json(options: Mapping[str, Any]) -> str:
    """Return the options of a command as the text of a file for its `--options`.

    Raises:
        UsageError: a value is of a type that no option has.
    """
    texts = []
    for name, value in options.items():
        if value is not None:
            try:
                text = json.dumps(value, default=_to_plain)
            except (TypeError, ValueError):
                expected = "a text, a number, a path, True, False or a list"
                raise UsageError(f"{name}: got {value!r}, expected {expected}") from None
            texts.append(f"{json.dumps(name.rstrip('_'))}: {text}")
    return f"{{{', '.join(texts)}}}"


def _to_plain(value: Any) -> object:
    """Return a path as text, a scalar of numpy as Python's, an array or other values as a list.

    Raises:
        TypeError: it is none of these.
    """
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    if hasattr(value, "tolist"):  # numpy's scalars have it as well
        plain: object = value.tolist()
        return plain
    return list(value)


def _start(name: str, options: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", _START, _ROOT, name, "--options", options],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"},
    )


def _end(process: subprocess.Popen[bytes], output: Output) -> None:
    """End a process as Ctrl-C does, and wait for it; at a second interrupt kill it."""
    try:
        process.send_signal(signal.SIGINT)
        output.show()
        process.wait()
    except BaseException:
        process.kill()
        process.wait()
        raise


def _describe_end(name: str, status: int) -> str:
    """Return how a process ended that gave no error message."""
    if status == -signal.SIGKILL:
        return f"charseq {name} was killed (SIGKILL), as a machine that lacks memory does"
    if status < 0:
        return f"charseq {name} was ended by {signal.Signals(-status).name}"
    return f"charseq {name} ended with exit status {status}; what it printed says why"

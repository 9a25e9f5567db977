"""Processes of their own for trainings, without the seconds that importing TensorFlow takes.

multiprocessing's forkserver imports the trainer once; each process is a fork of it, made before
TensorFlow computes anything, and so may still divide a CPU or join a cluster.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from multiprocessing import forkserver
from pathlib import Path

from tests.support.paths import ROOT

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["keras", "tensorflow", "trainer.training.train"])


class Process:
    """A function that runs in a process of its own, with its output kept.

    Args:
        function: of a module; what it returns is the exit status.
        args: of the function, to be pickled.
        cwd: the working directory.
        environment: variables that differ from those of this process.
    """

    def __init__(
        self,
        function: Callable[..., int],
        *args: object,
        cwd: Path = ROOT,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._output = tempfile.TemporaryDirectory()
        where = (self._output.name, str(cwd), {**os.environ, **(environment or {})})
        self._process = _CONTEXT.Process(target=_run, args=(where, function, args), daemon=True)
        with _working_directory(ROOT):  # From there the server imports what it imports.
            forkserver.ensure_running()
        self._process.start()

    def communicate(self, timeout: float) -> tuple[str, str]:
        """Wait for the end, and return what was written to standard output and error.

        Raises:
            TimeoutError: it has not ended after `timeout` seconds; it is killed.
        """
        self._process.join(timeout)
        if self._process.exitcode is None:
            self._process.kill()
            raise TimeoutError(f"not ended after {timeout} s")
        with self._output as folder:
            output, error = (Path(folder, name).read_text() for name in ("output", "error"))
        return output, error

    @property
    def returncode(self) -> int | None:
        """The exit status; the negative number of the signal that ended it; None while it runs."""
        return self._process.exitcode


def _run(
    where: tuple[str, str, dict[str, str]], function: Callable[..., int], args: tuple[object, ...]
) -> None:
    folder, cwd, environment = where
    assert "trainer.training.train" in sys.modules, "the server could not import the trainer"
    for name, descriptor in (("output", 1), ("error", 2)):
        file = os.open(os.path.join(folder, name), os.O_WRONLY | os.O_CREAT)
        os.dup2(file, descriptor)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    sys.exit(function(*args))


@contextlib.contextmanager
def _working_directory(path: Path) -> Iterator[None]:
    before = os.getcwd()
    os.chdir(path)
    try:
        yield
    finally:
        os.chdir(before)

"""An error that a user can cause ends in one line and a status."""

from __future__ import annotations

import signal
import subprocess
import sys
from functools import partial

import pytest

from charseq.cli import exit_status, heavy_imports
from charseq.errors import DataError, LostWorkerError, MismatchError, UsageError
from tests.support.paths import ROOT

pytestmark = pytest.mark.unit


def fail_with(error: BaseException) -> None:
    raise error


def test_each_kind_of_error_has_its_status(capsys: pytest.CaptureFixture[str]) -> None:
    for error, status, said in (
        (UsageError("no such flag"), 2, "error: no such flag\n"),
        (DataError("no such file"), 1, "error: no such file\n"),
        (MismatchError("other characters"), 3, "error: other characters\n"),
        (LostWorkerError("worker 1 is lost"), 75, "error: worker 1 is lost\n"),
        (OSError(28, "No space left on device"), 1, "error: No space left on device\n"),
        (OSError(21, "Is a directory", b"a/b"), 1, "error: a/b: Is a directory\n"),
        (OSError(18, "Other device", "a", None, "b"), 1, "error: a to b: Other device\n"),
        (OSError("as a library says"), 1, "error: as a library says\n"),
    ):
        assert exit_status(partial(fail_with, error)) == status
        assert capsys.readouterr().err == said
    assert exit_status(lambda: None) == 0


@pytest.mark.parametrize(
    ("number", "status", "said"),
    [(signal.SIGINT, 130, "interrupted\n"), (signal.SIGTERM, 143, "terminated\n")],
)
def test_a_signal_ends_a_command_and_nothing_behind_it(
    number: signal.Signals, status: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(number)
    assert exit_status(lambda: signal.raise_signal(number)) == status
    assert capsys.readouterr().err == said
    assert signal.getsignal(number) == before
    assert exit_status(lambda: None) == 0


@pytest.mark.integration
def test_a_reader_that_goes_away_is_no_traceback() -> None:
    script = (
        "import sys; from charseq.cli import exit_status\n"
        "sys.exit(exit_status(lambda: [print('x' * 1000, flush=True) for _ in range(1000)]))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout
    assert process.stderr
    process.stdout.readline()
    process.stdout.close()
    with process.stderr:
        assert process.stderr.read() == b""
    assert process.wait() == 1


@pytest.mark.integration
@pytest.mark.parametrize(
    "module",
    [
        *("pipeline", "pipeline.inspect", "pipeline.predict", "pipeline.sample"),
        *("trainer", "trainer.evaluate", "trainer.onnx", "trainer.promote"),
    ],
)
def test_python_without_docstrings_is_refused(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-OO", "-m", module, "--help"], cwd=ROOT, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: python -OO (or PYTHONOPTIMIZE=2) removes docstrings")
    assert done.stderr.count("\n") == 1


def test_threads_of_what_is_imported_follow_a_cpu_quota(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.environ", environment := {"OMP_NUM_THREADS": "5"})
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.setattr("charseq.process.machine._cpu_quota", lambda _: 3.0)
    with heavy_imports():
        assert environment["TF_NUM_INTRAOP_THREADS"] == "3"
        assert environment["OMP_NUM_THREADS"] == "5"

"""A signal ends a process, whatever the code does that it lands in."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from charseq.cli import exit_status
from tests.support.paths import ROOT

pytestmark = pytest.mark.integration

SIGNALS = [(signal.SIGINT, 130, "interrupted\n"), (signal.SIGTERM, 143, "terminated\n")]

PROCESS = """
import signal
if {reset}:  # A shell lets its background jobs ignore it, and so would this process.
    signal.signal(signal.SIGINT, signal.default_int_handler)
from charseq.process import signals
signals.watch_signals()
signals._SECONDS_TO_UNWIND = {seconds}
import atexit, ctypes, os, sys, threading, time
from charseq.cli import exit_status

def send():
    os.kill(os.getpid(), signal.{name})

{code}
sys.exit(exit_status(command))
"""

LOST_IN_A_DESTRUCTOR = """
class Holder:
    def __del__(self):
        send()
        time.sleep(1)

def command():
    Holder()
    time.sleep(60)
"""
WRAPPED_BY_A_LIBRARY = """
def command():
    try:
        send()
        time.sleep(60)
    except BaseException as error:
        raise RuntimeError("while running a step") from error
"""
DROPPED_BY_A_LIBRARY = """
def command():
    try:
        send()
        time.sleep(60)
    except BaseException:
        pass
"""
IN_A_THREAD_THAT_FAILS_OF_IT = """
def command():
    ended = threading.Event()

    def work():
        ended.wait()
        raise OSError("the main thread has gone")

    thread = threading.Thread(target=work)
    thread.start()
    try:
        send()
        time.sleep(60)
    finally:
        ended.set()
        thread.join()
"""
SWALLOWED_FOR_GOOD = """
def command():
    send()
    while True:
        try:
            time.sleep(60)
        except BaseException:
            pass
"""
IN_NATIVE_CODE_THAT_DOES_NOT_RETURN = """
def command():
    threading.Timer(0.2, send).start()
    mutex = ctypes.create_string_buffer(64)
    for _ in range(2):  # The second call waits for ever, whatever signals come.
        ctypes.CDLL(None).pthread_mutex_lock(mutex)
"""
BEFORE_THE_COMMAND = """
def command():
    pass

send()
time.sleep(60)
"""
BLOCKED_AT_EXIT = """
def command():
    atexit.register(time.sleep, 60)
    send()
    time.sleep(60)
"""
AFTER_THE_COMMAND = """
def command():
    atexit.register(lambda: (send(), time.sleep(60)))
"""


def run(code: str, number: signal.Signals, seconds: float = 1000) -> tuple[int, str]:
    """Return the exit status and standard error of a process that sends itself a signal.

    Without `seconds`, it has to unwind: nothing ends it before the test fails.
    """
    script = PROCESS.format(reset=True, seconds=seconds, name=number.name, code=code)
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=50
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize(("number", "status", "said"), SIGNALS)
@pytest.mark.parametrize(
    "code",
    [
        LOST_IN_A_DESTRUCTOR,
        WRAPPED_BY_A_LIBRARY,
        DROPPED_BY_A_LIBRARY,
        IN_A_THREAD_THAT_FAILS_OF_IT,
        BEFORE_THE_COMMAND,
        BLOCKED_AT_EXIT,
        AFTER_THE_COMMAND,
    ],
    ids=["destructor", "wrapped", "dropped", "thread", "before", "exit", "after"],
)
def test_a_signal_is_never_lost_and_no_traceback(
    code: str, number: signal.Signals, status: int, said: str
) -> None:
    assert run(code, number) == (status, said)


def test_an_error_of_another_thread_ends_the_command() -> None:
    code = """
def command():
    from charseq.errors import DataError
    threading.Timer(0.1, lambda: signals.raise_in_main_thread(DataError("no worker"))).start()
    time.sleep(60)
"""
    assert run(code, signal.SIGINT) == (1, "error: no worker\n")


def test_what_a_command_started_ends_with_it() -> None:
    code = """
def command():
    import subprocess
    subprocess.Popen("sleep 61 & sleep 62", shell=True)
    time.sleep(0.5)
    send()
    time.sleep(60)
"""
    # Its standard error is closed once all that have it open are gone.
    started = time.monotonic()
    assert run(code, signal.SIGTERM) == (143, "terminated\n")
    assert time.monotonic() - started < 30


@pytest.mark.parametrize(
    "code", [SWALLOWED_FOR_GOOD, IN_NATIVE_CODE_THAT_DOES_NOT_RETURN], ids=["python", "native"]
)
def test_a_process_that_does_not_unwind_is_ended(code: str) -> None:
    assert run(code, signal.SIGTERM, seconds=0.5) == (143, "terminated\n")


def test_a_signal_that_is_ignored_from_the_start_stays_ignored() -> None:
    script = PROCESS.format(
        reset=False, seconds=1, name="SIGINT", code="def command():\n    send()\n    print('done')"
    )
    done = subprocess.run(
        ["sh", "-c", 'trap "" INT; exec "$0" -c "$1"', sys.executable, script],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "done\n")


@pytest.mark.parametrize("closed", ["2>&-", "<&- >&- 2>&-"])
def test_a_signal_ends_a_process_without_standard_streams(closed: str) -> None:
    script = PROCESS.format(reset=True, seconds=30, name="SIGTERM", code=BEFORE_THE_COMMAND)
    shell = ["sh", "-c", f'exec "$0" -c "$1" {closed}', sys.executable, script]
    assert subprocess.run(shell, cwd=ROOT, timeout=50).returncode == 143


def test_what_comes_after_a_signal_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    """In a process that calls `main` itself, as a test does."""

    def command() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise OSError("a step failed") from None

    assert exit_status(command) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_a_command_is_interrupted_after_one_that_it_called() -> None:
    def command() -> None:
        assert exit_status(lambda: None) == 0
        signal.raise_signal(signal.SIGTERM)
        reached.append("the end")

    reached: list[str] = []
    assert exit_status(command) == 143
    assert reached == []

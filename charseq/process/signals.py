"""SIGINT and SIGTERM: a command that gets one ends with status 130 or 143, wherever it is.

Python calls a handler in the main thread, between two of its instructions, and what the handler
raises unwinds the command, whose blocks remove what is unfinished. Three things can go wrong: the
exception is lost in a destructor ("Exception ignored in"), a library wraps it in an error of its
own, or native code does not return. So the signal is remembered, it is sent again if its exception
was lost, and a thread ends the process if it has not unwound in time. Sent by the system, it also
ends a wait of the main thread. The process may end anywhere: files appear by a rename when they are
whole. What it started is killed: Beam's workers would wait for it.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, NoReturn

from charseq.process.processes import kill_descendants

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_STANDARD_ERROR = 2
_SECONDS_TO_UNWIND = 10.0
# A destructor returns before what it lost is raised again.
_SECONDS_BEFORE_REPEAT = 0.05


class Signalled(KeyboardInterrupt):
    """SIGINT or SIGTERM came: not an Exception, which a library might handle."""

    def __init__(self, number: int) -> None:
        self.status = 128 + number
        super().__init__("interrupted" if number == signal.SIGINT else "terminated")


class _State:
    """What came so far, and what a signal does now.

    received: the first signal of the block, or of the process. raises: it raises in the main
    thread. watched: the process is ours, so that it may be ended. error: what ends the command in
    place of a signal.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self.raises = False
        self.watched = False
        self.lost = threading.Event()
        self.error: Exception | None = None


_state = _State()


def was_signalled() -> bool:
    """Return whether a signal is ending the command: errors are only its consequences then."""
    return _state.received is not None


def watch_signals() -> None:
    """Let SIGINT and SIGTERM end this process from now on; call it before all other imports.

    A signal that the process was started to ignore, as a shell does for its background jobs, stays
    ignored.
    """
    _open_closed_streams()
    receiver, sender = os.pipe()
    os.set_blocking(sender, False)
    signal.set_wakeup_fd(sender, warn_on_full_buffer=False)
    threading.Thread(target=_end_if_late, args=(receiver,), daemon=True).start()
    sys.unraisablehook = _note_lost
    threading.excepthook = _report_thread
    _state.watched = True
    for number in _SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _handle)


def _open_closed_streams() -> None:
    """Open /dev/null in place of the standard streams that the process was started without.

    Otherwise the next files that are opened, such as the pipe of the signals, get their numbers.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _STANDARD_ERROR:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise `Signalled` in the block at SIGINT or SIGTERM, and after the block if it was lost.

    Raises:
        Signalled: whatever else the block raises once the signal has come.
        Exception: that of `raise_in_main_thread`.
    """
    with nullcontext() if _state.watched else _handlers():
        # A command may call another one, and be interrupted after it.
        before = _state.raises
        try:
            _state.raises = True
            yield
        finally:
            _state.raises = before
            if _state.received is not None:
                raise (_state.error or Signalled(_state.received)) from None


@contextmanager
def _handlers() -> Iterator[None]:
    """Handle the signals while the block runs, in a process that is not ours."""
    before = {number: signal.signal(number, _handle) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _state.received = _state.error = None


def raise_in_main_thread(error: Exception) -> None:
    """End the command with an error that the main thread, which waits, does not notice."""
    if _state.received is None and _state.error is None:
        _state.error = error
        os.kill(os.getpid(), signal.SIGTERM)


def leave_if_watched(status: int) -> None:
    """End a process that is ours: what libraries do at exit after a signal may block, or print."""
    if _state.watched:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _handle(number: int, _: object) -> None:
    if _state.received is not None and not _state.lost.is_set():
        return  # It ends already.
    _state.lost.clear()
    _state.received = number
    if _state.watched:
        kill_descendants()
    if _state.raises:
        raise Signalled(number)
    if _state.watched:  # Before the command, or after it.
        _end(number)


def _note_lost(unraisable: Any) -> None:
    """Take the place of `sys.unraisablehook`."""
    if issubclass(unraisable.exc_type, Signalled):
        _state.lost.set()
    elif not was_signalled():
        sys.__unraisablehook__(unraisable)


def _report_thread(args: Any) -> None:
    """Take the place of `threading.excepthook`."""
    if not was_signalled():
        threading.__excepthook__(args)


def _end_if_late(receiver: int) -> None:
    """End the process some seconds after a signal that has a handler of this module."""
    number = os.read(receiver, 1)[0]
    while number not in _SIGNALS or signal.getsignal(number) is not _handle:
        number = os.read(receiver, 1)[0]
    deadline = time.monotonic() + _SECONDS_TO_UNWIND
    while (left := deadline - time.monotonic()) > 0:
        if _state.lost.wait(left):
            time.sleep(_SECONDS_BEFORE_REPEAT)
            os.kill(os.getpid(), number)
            time.sleep(_SECONDS_BEFORE_REPEAT)
    _end(number)


def _end(number: int) -> NoReturn:
    kill_descendants()
    ended = Signalled(number)
    said = str(ended) if _state.error is None else f"error: {_state.error}"
    os.write(_STANDARD_ERROR, f"{said}\n".encode("ascii", "backslashreplace"))
    os._exit(ended.status if _state.error is None else 1)

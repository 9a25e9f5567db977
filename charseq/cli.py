"""The frame of every command: exit status, signals, and imports that take seconds."""

from __future__ import annotations

import gc
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from charseq.console.messages import print_error
from charseq.console.native import without_native_messages
from charseq.console.terminal import escaped_output
from charseq.errors import (
    ChangedData,
    DataError,
    LostWorkerError,
    MismatchError,
    Preempted,
    UsageError,
    UselessResult,
    describe_os_error,
)
from charseq.process.machine import limit_thread_pools
from charseq.process.signals import Signalled, interruptible, leave_if_watched, was_signalled


def exit_status(command: Callable[[], None]) -> int:
    """Run `command` and return its exit status.

    An error that a user can cause becomes one message on standard error. Status 0: done; 1: the
    data cannot be used or the run failed; 2: the command line is wrong; 3: the input does not fit
    the model or the alphabet, or the result is of no use; 4: a change is beyond its limit; 75:
    another worker is lost; 130: interrupted; 143: ended by SIGTERM. What is printed is safe for a
    terminal, in its encoding.
    """
    with escaped_output():
        status = _exit_status(command)
        if was_signalled():
            leave_if_watched(status)
        return status


def _exit_status(command: Callable[[], None]) -> int:
    try:
        with interruptible():
            _check_docstrings()
            command()
    except UsageError as error:
        print_error(f"error: {error}")
        return 2
    except BrokenPipeError:
        # The reader of standard output has gone; Python would complain again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (MismatchError, UselessResult) as error:
        print_error(f"error: {error}")
        return 3
    except LostWorkerError as error:
        print_error(f"error: {error}")
        return os.EX_TEMPFAIL
    except DataError as error:
        print_error(f"error: {error}")
        return 1
    except OSError as error:
        print_error(f"error: {describe_os_error(error)}")
        return 1
    except ChangedData as changed:
        print_error(f"error: {changed}")
        return 4
    except Preempted as preempted:
        print(preempted, file=sys.stderr)
        return 143
    except Signalled as signalled:
        print(signalled, file=sys.stderr)
        return signalled.status
    return 0


def _check_docstrings() -> None:
    """Check that Python keeps docstrings.

    Raises:
        UsageError: it was started with -OO.
    """
    if sys.flags.optimize > 1:
        raise UsageError(
            "python -OO (or PYTHONOPTIMIZE=2) removes docstrings, without which Apache Beam "
            "cannot be imported; run python without it, or with -O"
        )


@contextmanager
def heavy_imports() -> Iterator[None]:
    """Import TensorFlow or Beam in the block: quietly, and without garbage collections.

    Their threads are as many as the process's share of the cores.
    """
    limit_thread_pools()
    _ignore_keras_settings()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    gc.disable()
    try:
        with without_native_messages():
            yield
        # A million objects that live as long as the process: collecting them takes a second.
        gc.freeze()
    finally:
        gc.enable()


def _ignore_keras_settings() -> None:
    """Keep what is set for Keras in other projects from changing what is computed here.

    Keras reads it when it is imported: the backend from a variable; the type of floats, the order
    of an image's axes, epsilon and, again, the backend from a `keras.json` in its directory.
    """
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ["KERAS_HOME"] = os.devnull  # No directory: nothing is read from it or written.

"""What a user can cause, and the exit status it gives."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn


class UsageError(Exception):
    """The command line is wrong: exit status 2."""


class DataError(Exception):
    """The command is right, but what it was given cannot be used: exit status 1."""


class _Terminated(KeyboardInterrupt):
    """SIGTERM: exit status 143."""


def exit_status(command: Callable[[], None]) -> int:
    """Run `command`; a user's error becomes its message on standard error and a status."""
    try:
        with _ended_by_sigterm():
            command()
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # Whoever read standard output has gone; Python would complain again when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (DataError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except _Terminated:
        print("terminated", file=sys.stderr)
        return 143
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """SIGTERM ends the block: by itself it does not the first process of a container."""

    def end(*_: object) -> NoReturn:
        raise _Terminated

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)

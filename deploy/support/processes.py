"""Start, wait for and end process groups by their id."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from pathlib import Path

from charseq.errors import DataError

ROOT = Path(__file__).parents[2]
LOOPBACK = "127.0.0.1"
_OUTGOING_PORTS_FROM = 32_768  # net.ipv4.ip_local_port_range


class Service:
    """A process group that is ended as a whole; its output goes to a file.

    Its temporary directory is the directory of that file.
    """

    def __init__(
        self, command: Sequence[str], log: Path, variables: Mapping[str, str] | None = None
    ) -> None:
        self.log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, "TMPDIR": str(log.parent), **(variables or {})},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait(self, seconds: float) -> int:
        """Wait for the process and return its exit status.

        Raises:
            DataError: it does not end within `seconds`.
        """
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise DataError(f"not ended within {seconds:.0f} s: see {self.log}") from None

    def kill(self) -> None:
        """Kill the group with SIGKILL, as if its machine were lost."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def end(self) -> None:
        """Terminate the first process, then kill the rest of the group."""
        self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(10)
        with suppress(ProcessLookupError):
            self.kill()


def wait_until(happened: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait until `happened` returns true; it is called ten times a second.

    Raises:
        DataError: it did not within `seconds`; the message names `what`.
    """
    last = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > last:
            raise DataError(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.1)


def free_ports(count: int) -> list[int]:
    """Return different free ports of the loopback interface.

    They are below the range that Linux takes the ports of outgoing connections from, so that no
    connection gets one of them before its server listens.
    """
    found: list[int] = []
    with ExitStack() as held:
        while len(found) < count:
            one = held.enter_context(closing(socket.socket()))
            port = random.randrange(10_000, _OUTGOING_PORTS_FROM)
            with suppress(OSError):
                one.bind((LOOPBACK, port))
                found.append(port)
    return found


def listens(port: int) -> bool:
    """Return whether a process listens on a port of the loopback interface."""
    with closing(socket.socket()) as one:
        return one.connect_ex((LOOPBACK, port)) == 0

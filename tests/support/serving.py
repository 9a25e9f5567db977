"""charseq serve in a process of its own, and clients for it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from charseq.process.processes import descendants
from tests.support.paths import ROOT

_SERVING = re.compile(r"serving version (\d+) of .* at (https?)://(?:127\.0\.0\.1):(\d+)")
SECONDS_TO_START = 90


class Reply(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def version(self) -> int:
        return int(self.headers["x-model-version"])


class Server:
    """A server that was started; its log is in `log`, and its standard error in `errors`."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, errors: Path) -> None:
        self.process = process
        self._log = log
        self._errors = errors
        self.port = 0
        self.clients: list[Client] = []

    def wait_until_serving(self) -> None:
        found = wait_for(lambda: _SERVING.search(self.errors), SECONDS_TO_START, self.process)
        self.port = int(found[3])

    @property
    def errors(self) -> str:
        return self._errors.read_text()

    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._log.read_text().splitlines()]

    def events(self) -> list[tuple[str, int | None]]:
        return [(line["event"], line.get("version")) for line in self.log() if "event" in line]

    def wait_for_event(self, event: str, version: int, seconds: float = 60) -> None:
        wait_for(lambda: (event, version) in self.events(), seconds, self.process)

    def wait_for_message(self, part: str, seconds: float = 60) -> None:
        messages = lambda: [line.get("message", "") for line in self.log()]  # noqa: E731
        wait_for(lambda: any(part in message for message in messages()), seconds, self.process)

    def client(self, tls: ssl.SSLContext | None = None) -> Client:
        self.clients.append(Client(self.port, tls))
        return self.clients[-1]

    def end(self, number: int) -> int:
        """Send a signal, and return the exit status."""
        self.process.send_signal(number)
        return self.process.wait(60)


class Client:
    """A client with one connection, which it opens again when it was closed."""

    def __init__(self, port: int, tls: ssl.SSLContext | None = None) -> None:
        if tls is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        else:
            self._connection = http.client.HTTPSConnection(
                "localhost", port, timeout=60, context=tls
            )

    def request(
        self,
        method: str,
        path: str,
        body: bytes | Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        data = json.dumps(body).encode() if isinstance(body, Mapping) else body
        self._connection.request(method, path, data, dict(headers or {}))
        response = self._connection.getresponse()
        found = {name.lower(): value for name, value in response.getheaders()}
        return Reply(response.status, found, response.read())

    def close(self) -> None:
        self._connection.close()

    def predict(self, *sequences: str) -> Reply:
        return self.request("POST", "/v1/models/charseq:predict", {"instances": list(sequences)})


def wait_for(condition: Any, seconds: float, process: subprocess.Popen[bytes]) -> Any:
    """Return what a condition gives once that is true.

    Raises:
        TimeoutError: it is not in time, or the process has ended.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        if found := condition():
            return found
        time.sleep(0.05)
    raise TimeoutError(f"not in {seconds} s; exit status {process.poll()}")


@contextlib.contextmanager
def started(
    registry: Path | str, folder: Path, *flags: str, environment: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """Start a server on a free port; kill it, if it still runs, after the block."""
    folder.mkdir(parents=True, exist_ok=True)
    log, errors = folder / "log", folder / "errors"
    command = ["charseq.server", "--registry", str(registry), "--port", "0", *flags]
    with log.open("wb") as out, errors.open("wb") as error:
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            stdout=out,
            stderr=error,
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
        )
    server = Server(process, log, errors)
    try:
        yield server
    finally:
        for client in server.clients:
            client.close()
        left = list(descendants(process.pid))
        process.kill()
        process.wait()
        # What it started sees the end of its socket.
        wait_gone(left)


def wait_gone(pids: list[int], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        if time.monotonic() > deadline:
            raise TimeoutError(f"processes {pids} go on")
        time.sleep(0.05)


class Callers:
    """Clients that ask one after the other until the block ends.

    Args:
        server: that is asked.
        clients: how many of them.
        find_fault: what is wrong with the reply to a text; nothing if it is right.

    answered: right replies, by the version in their headers. faults: what was wrong.
    """

    def __init__(
        self, server: Server, clients: int, find_fault: Callable[[str, Reply], str]
    ) -> None:
        self.answered: Counter[int] = Counter()
        self.faults: list[str] = []
        self._server = server
        self._find_fault = find_fault
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask, args=(number,)) for number in range(clients)
        ]

    def __enter__(self) -> Callers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, number: int) -> None:
        client = self._server.client()
        text = "abcdefgh"[number % 8 :] + "abcdefgh"[: number % 8]
        length = 1
        while not self._stop.is_set():
            length = length % 6 + 1
            try:
                reply = client.predict(text[:length])
            except (OSError, http.client.HTTPException) as error:
                self.faults.append(repr(error))
                return
            if fault := self._find_fault(text[:length], reply):
                self.faults.append(fault)
            else:
                self.answered[reply.version] += 1

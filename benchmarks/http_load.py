"""Clients that ask a server on this machine, each the next request when it has its answer.

One thread and no library, so that the load takes little of the cores that the server needs, too.
"""

from __future__ import annotations

import contextlib
import random
import selectors
import socket
import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from charseq.errors import DataError

_SECONDS_BEFORE = 1.0
_END_OF_HEADERS = b"\r\n\r\n"


class Load(NamedTuple):
    """What a load of some seconds saw; p50, p99: milliseconds from a request to its answer."""

    rate: float
    p50: float
    p99: float


def make_bodies(rows: int, count: int = 200) -> list[bytes]:
    """Return bodies for `:predict`, of made sequences of 4 to 16 characters."""
    chance = random.Random(0)
    texts = [
        "".join(chance.choices("ACDEFGHIKLMNPQRSTVWY", k=chance.randint(4, 16)))
        for _ in range(count * rows)
    ]
    quoted = [f'"{text}"' for text in texts]
    return [
        f'{{"instances": [{", ".join(quoted[start : start + rows])}]}}'.encode()
        for start in range(0, len(quoted), rows)
    ]


class _Client:
    def __init__(self, port: int, requests: Sequence[bytes], first: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._requests = requests
        self._next = first
        self._read = b""
        self.asked = 0.0

    def ask(self) -> None:
        self.asked = time.perf_counter()
        self.socket.sendall(self._requests[self._next % len(self._requests)])
        self._next += 1

    def is_answered(self) -> bool:
        """Read what is there, and return whether it is the whole answer.

        Raises:
            DataError: it is an error, or the connection was closed.
        """
        chunk = self.socket.recv(1 << 20)
        self._read += chunk
        head, found, body = self._read.partition(_END_OF_HEADERS)
        if not chunk or (found and b" 200 " not in head[:14]):
            raise DataError(f"a request failed: {self._read[:500]!r}")
        if not found:
            return False
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        if len(body) < length:
            return False
        self._read = b""
        return True


def run_load(port: int, path: str, bodies: Sequence[bytes], clients: int, seconds: float) -> Load:
    """Ask a server for some seconds, after one second that does not count.

    Args:
        port: of the server.
        path: of the requests.
        bodies: which each client sends in turn, from another one on.
        clients: that ask at the same time.
        seconds: that count.

    Raises:
        DataError: a request failed.
    """
    requests = [
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        + body
        for body in bodies
    ]
    with contextlib.ExitStack() as opened, selectors.DefaultSelector() as selector:
        for number in range(clients):
            client = _Client(port, requests, number * max(len(requests) // clients, 1))
            opened.enter_context(client.socket)
            selector.register(client.socket, selectors.EVENT_READ, client)
            client.ask()
        taken = _ask_until(selector, time.perf_counter() + _SECONDS_BEFORE, seconds)
    if not taken:
        raise DataError(f"no answer in {seconds} s")
    p50, p99 = 1000 * np.percentile(taken, (50, 99))
    return Load(len(taken) / seconds, float(p50), float(p99))


def _ask_until(selector: selectors.BaseSelector, began: float, seconds: float) -> list[float]:
    """Return what each request took that was made from `began` on; in seconds."""
    taken: list[float] = []
    now = began
    while now < began + seconds:
        for key, _ in selector.select(1):
            if key.data.is_answered():
                now = time.perf_counter()
                if key.data.asked >= began:
                    taken.append(now - key.data.asked)
                key.data.ask()
    return taken

"""What every request passes: its host, its token, its body, its line in the log."""

from __future__ import annotations

import hmac
import time
from collections.abc import Awaitable, Callable, Collection
from typing import Any, NamedTuple, TypeVar

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from charseq.server.errors import RequestError, come_again, invalid, too_large
from charseq.server.log import Log
from charseq.server.metrics import Metrics
from charseq.server.rest.predict_answer import error_body

# Probes and Prometheus come by the address of a pod, and without a token.
OPEN_PATHS = frozenset({"/healthz", "/readyz", "/metrics"})
# A browser asks for a page without the token, which the page then asks for.
PAGE_PATHS = frozenset({"/", "/style.css", "/page.js"})
_LOCAL_HOSTS = ("localhost", "127.0.0.1", "[::1]")
_ALL_INTERFACES = {"0.0.0.0", "::"}
# Bodies that are held at once, of all requests.
_MAX_BYTES_HELD = 1 << 28
_LOGGED_PATH = 200
_BEARER = b"bearer "
_NOTES = "charseq.notes"
_T = TypeVar("_T")


class Notes:
    """What a request notes for the log and the metrics.

    route: its path without names and numbers. rows: of its body; None if it was not read. version:
    that answered. sequences: those of its body.
    """

    def __init__(self) -> None:
        self.route = "other"
        self.rows: int | None = None
        self.version: int | None = None
        self.sequences: list[str] | None = None


def notes_of(scope: Scope) -> Notes:
    """Return what a request notes."""
    notes: Notes = scope[_NOTES]
    return notes


class Access(NamedTuple):
    """Who is let in: hosts by which the server is known, and a token; None: without one."""

    hosts: Collection[str]
    token: bytes | None


def known_hosts(bound: str, allowed: Collection[str]) -> frozenset[str]:
    """Return the names under which a server is reached, as in a Host header without the port."""
    names = {*_LOCAL_HOSTS, *(name.lower() for name in allowed)}
    if bound not in _ALL_INTERFACES:
        names.add(f"[{bound}]" if ":" in bound else bound.lower())
    return frozenset(names)


def check_access(path: str, headers: list[tuple[bytes, bytes]], access: Access) -> None:
    """Check the Host of a request, and its token if its path needs one.

    A page of another site can have its own name resolved to this machine (DNS rebinding), and would
    then be of the same origin as the server; but its requests name it as their Host.

    Raises:
        RequestError: 400 there is no Host, or several; 403 it is another's; 401 the token is wrong.
    """
    hosts = [value for name, value in headers if name == b"host"]
    if len(hosts) != 1:
        raise invalid(f"got {len(hosts)} Host headers, expected one")
    host = _without_port(hosts[0].decode("latin-1").lower())
    if host not in access.hosts:
        raise RequestError(
            403, f"this server is not known as {host}; --allow-host adds a name under which it is"
        )
    if access.token is not None and path not in PAGE_PATHS:
        given = [value for name, value in headers if name == b"authorization"]
        got = given[0] if given and given[0][: len(_BEARER)].lower() == _BEARER else b""
        if not hmac.compare_digest(got[len(_BEARER) :].strip(), access.token):
            raise RequestError(
                401,
                "expected the header 'Authorization: Bearer TOKEN' with the token of this server",
                {"WWW-Authenticate": "Bearer"},
            )


def _without_port(host: str) -> str:
    name, _, port = host.rpartition(":")
    return name if name and port.isdigit() else host


class Gate:
    """The outermost application: lets requests in, and notes how they ended.

    Args:
        app: what answers.
        access: who is let in.
        metrics: counts requests.
        log: gets a line for each.
    """

    def __init__(self, app: ASGIApp, access: Access, metrics: Metrics, log: Log) -> None:
        self._app = app
        self._access = access
        self._metrics = metrics
        self._log = log
        self.under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        notes = scope[_NOTES] = Notes()
        status = 500

        async def note_and_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if notes.version is not None:
                    version = str(notes.version).encode("ascii")
                    message["headers"].append((b"x-model-version", version))
            await send(message)

        self.under_way += 1
        try:
            await self._answer(scope, receive, note_and_send)
        finally:
            self.under_way -= 1
            self._note(scope, notes, status, time.perf_counter() - began)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] not in OPEN_PATHS:
            try:
                check_access(scope["path"], scope["headers"], self._access)
            except RequestError as error:
                await send_error(error, send)
                return
        await self._app(scope, receive, send)

    def _note(self, scope: Scope, notes: Notes, status: int, seconds: float) -> None:
        self._metrics.note_request(notes.route, status, seconds)
        if scope["path"] in OPEN_PATHS and status == 200:
            return  # Each few seconds, for ever.
        fields: dict[str, Any] = {
            "method": scope["method"],
            "path": scope["path"][:_LOGGED_PATH],
            "status": status,
            "ms": round(seconds * 1000, 2),
            "client": scope["client"][0] if scope.get("client") else None,
        }
        for name in ("version", "rows", "sequences"):
            if getattr(notes, name) is not None:
                fields[name] = getattr(notes, name)
        self._log(**fields)


async def send_error(error: RequestError, send: Send) -> None:
    """Send the answer of a request that is refused."""
    body = error_body(str(error))
    headers = {
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        **error.headers,
    }
    pairs = [
        (name.lower().encode("ascii"), value.encode("ascii")) for name, value in headers.items()
    ]
    await send({"type": "http.response.start", "status": error.status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})


class BodyReader:
    """Reads the bodies of requests. How long one may take is watched by the connection.

    Args:
        max_bytes: of a body.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._held = 0

    async def read(
        self, scope: Scope, receive: Receive, use: Callable[[bytes], Awaitable[_T]]
    ) -> _T:
        """Read the body of a request, and return what `use` makes of it.

        Raises:
            RequestError: 413 it is too long; 503 too many others are held.
        """
        body = bytearray()
        try:
            await self._receive_all(scope, receive, body)
            return await use(bytes(body))
        finally:
            self._held -= len(body)

    async def _receive_all(self, scope: Scope, receive: Receive, body: bytearray) -> None:
        length = _content_length(scope["headers"])
        if length > self._max_bytes:
            raise self._too_long(length)
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise RequestError(408, "the connection was closed before the body was there")
            chunk = message.get("body", b"")
            body += chunk
            self._held += len(chunk)
            if len(body) > self._max_bytes:
                raise self._too_long(len(body))
            if self._held > _MAX_BYTES_HELD:
                raise come_again("too many requests are being read")
            if not message.get("more_body"):
                return

    def _too_long(self, length: int) -> RequestError:
        return too_large(f"got {length:,} bytes or more, expected at most {self._max_bytes:,}")


def _content_length(headers: list[tuple[bytes, bytes]]) -> int:
    values = [value for name, value in headers if name == b"content-length"]
    return int(values[0]) if values and values[0].isdigit() else 0

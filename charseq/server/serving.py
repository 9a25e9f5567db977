"""The server's process: its socket, its event loop, and its end."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import ssl
import sys
from collections.abc import Coroutine, Iterator

import uvicorn
from starlette.types import ASGIApp

from charseq.console.terminal import unescaped
from charseq.errors import DataError
from charseq.models.locate import served_name
from charseq.server.app import Settings, create_app
from charseq.server.batches import BatchSettings
from charseq.server.connection import connection_class
from charseq.server.gate import Access, known_hosts
from charseq.server.log import json_log
from charseq.server.metrics import Metrics
from charseq.server.options import TOKEN_VARIABLE, ServeOptions
from charseq.server.registry import Registry, open_registry
from charseq.server.rest.calls import Limits
from charseq.server.versions import Versions

# What follows the name of the flag would be taken for a token, and not printed.
WITHOUT_TOKEN = (
    "can be reached from other machines, and anyone who reaches it may ask: set a token by the "
    f"variable {TOKEN_VARIABLE}, or --token-file"
)
_BACKLOG = 2048
# Idle connections are kept for longer than load balancers keep theirs (a minute, mostly): closing
# one while a request is on its way to it is an error for the client.
_SECONDS_KEPT = 75


def serve(options: ServeOptions, token: bytes | None) -> None:
    """Serve until SIGINT or SIGTERM; what is under way is answered before the signal takes effect.

    Raises:
        UsageError: the registry's address is of an unknown kind.
        DataError: the registry or its first version cannot be loaded, the port cannot be listened
            to, or a file of TLS cannot be used.
    """
    with open_registry(options.registry) as registry:
        _serve_registry(options, token, registry)


def _serve_registry(options: ServeOptions, token: bytes | None, registry: Registry) -> None:
    log = json_log(unescaped(sys.stdout))
    metrics = Metrics()
    batches = BatchSettings(options.batch_wait_ms / 1000, options.max_queue_rows, options.timeout)
    versions = Versions(registry, options.trust_model, batches, metrics, log)
    settings = Settings(
        name=served_name(registry.directory, registry.address),
        limits=Limits(options.max_rows, options.max_characters),
        max_body_bytes=options.max_body_bytes,
        access=Access(known_hosts(options.host, options.allow_host), token),
        origins=options.allow_origin,
        log_sequences=options.log_sequences,
    )
    server = _make_server(options, create_app(versions, settings, metrics, log))
    with _listen(options.host, options.port) as listening:
        if token is None and not _is_local(listening):
            print(f"{options.host} {WITHOUT_TOKEN}", file=sys.stderr)
        scheme = "https" if options.tls_cert else "http"
        address = f"{scheme}://{_host_of(listening)}:{listening.getsockname()[1]}"
        run = _run(server, versions, listening, f"{options.registry} at {address}")
        _run_in_loop(run, server.config)


def _run_in_loop(run: Coroutine[None, None, None], config: uvicorn.Config) -> None:
    """Run a coroutine in uvicorn's kind of loop; Python 3.10 has no `asyncio.Runner`."""
    factory = config.get_loop_factory()
    loop = asyncio.new_event_loop() if factory is None else factory()
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(run)
    finally:
        loop.run_until_complete(loop.shutdown_default_executor())
        asyncio.set_event_loop(None)
        loop.close()


async def _run(
    server: uvicorn.Server, versions: Versions, listening: socket.socket, what: str
) -> None:
    first = asyncio.create_task(versions.load_first())

    def say_or_end(loaded: asyncio.Task[None]) -> None:
        if loaded.cancelled() or loaded.exception() is not None:
            server.should_exit = True
        elif versions.current is not None:
            print(f"serving version {versions.current.number} of {what}", file=sys.stderr)

    first.add_done_callback(say_or_end)
    following = asyncio.create_task(_follow(first, versions))
    try:
        await server.serve([listening])  # It raises the signal again that ended it.
        if first.done():
            first.result()
    finally:
        for task in (first, following):
            task.cancel()
        await asyncio.gather(first, following, return_exceptions=True)
        await versions.close()


async def _follow(first: asyncio.Task[None], versions: Versions) -> None:
    await asyncio.wait([first])
    if not first.cancelled() and first.exception() is None:
        await versions.follow()


def _make_server(options: ServeOptions, app: ASGIApp) -> uvicorn.Server:
    config = uvicorn.Config(
        app,
        http=connection_class(options.timeout),
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_SECONDS_KEPT,
        timeout_graceful_shutdown=int(options.timeout) + 1,
        ssl_certfile=options.tls_cert,
        ssl_keyfile=options.tls_key,
        ssl_keyfile_password="",  # Or OpenSSL would ask for it at the terminal.
    )
    try:
        config.load()
    except (ssl.SSLError, OSError, ValueError) as error:
        files = f"{options.tls_cert}, {options.tls_key}"
        raise DataError(f"{files}: no certificate in PEM and its key: {error}") from error
    return uvicorn.Server(config)


@contextlib.contextmanager
def _listen(host: str, port: int) -> Iterator[socket.socket]:
    """Yield a socket that is bound to an address, and not yet listened to."""
    try:
        (family, kind, _, _, address), *_ = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        listening = socket.socket(family, kind)
    except OSError as error:
        raise DataError(f"--host: {host}: {error.strerror}") from error
    with listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind(address)
        except OSError as error:
            where = f"{host}, port {port}"
            raise DataError(f"{where}: {error.strerror}: choose another --port") from error
        yield listening


def _host_of(listening: socket.socket) -> str:
    host = listening.getsockname()[0]
    return f"[{host}]" if ":" in host else host


def _is_local(listening: socket.socket) -> bool:
    return ipaddress.ip_address(listening.getsockname()[0].partition("%")[0]).is_loopback

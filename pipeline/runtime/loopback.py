"""The address at which Beam's own servers listen in this process.

Beam binds them to all interfaces ("[::]") and has no option for it. Their protocols know no
authentication: whoever reaches a port may read rows, or have a worker pool run programs.
"""

from __future__ import annotations

from typing import Any

import grpc

LOOPBACK = "127.0.0.1"
_ALL_INTERFACES = "[::]"
_new_server = grpc.server


def bind_servers_to(host: str) -> None:
    """Bind the gRPC servers of this process to `host`, those that ask for all interfaces.

    Servers that exist already stay as they are.
    """

    def new_server(*arguments: Any, **options: Any) -> grpc.Server:
        server = _new_server(*arguments, **options)
        bind = server.add_insecure_port
        server.add_insecure_port = lambda address: bind(_replace_host(address, host))
        return server

    grpc.server = new_server


def _replace_host(address: str, host: str) -> str:
    """Return an address with another host if it has that of all interfaces."""
    requested, _, port = address.rpartition(":")
    return f"{host}:{port}" if requested == _ALL_INTERFACES else address

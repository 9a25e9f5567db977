"""The addresses at which the processes of this machine listen."""

from __future__ import annotations

import socket
from ipaddress import ip_address
from pathlib import Path

_LISTEN = "0A"


def listening_hosts(port: int) -> set[str]:
    """Return the addresses at which a TCP port is listened to, as /proc/net shows them."""
    hosts = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            _, local, _, state, *_ = line.split()
            host, number = local.split(":")
            if state == _LISTEN and int(number, 16) == port:
                hosts.add(_to_text(host))
    return hosts


def _to_text(host: str) -> str:
    """Return an address that the kernel shows as words of 32 bits in its own order of bytes."""
    words = [int(host[start : start + 8], 16) for start in range(0, len(host), 8)]
    packed = b"".join(socket.ntohl(word).to_bytes(4, "big") for word in words)
    address = ip_address(packed)
    return str(getattr(address, "ipv4_mapped", None) or address)

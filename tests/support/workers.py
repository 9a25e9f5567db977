"""Clusters of several workers on this machine."""

from __future__ import annotations

import json
import socket
from contextlib import ExitStack


def tf_configs(count: int) -> list[str]:
    """Return the TF_CONFIG of each worker of a cluster, on free ports."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        workers = [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
    return [
        json.dumps({"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}})
        for index in range(count)
    ]

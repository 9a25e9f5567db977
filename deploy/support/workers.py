"""Clusters of several workers on this machine."""

from __future__ import annotations

import json

from deploy.support.processes import LOOPBACK, free_ports


def tf_configs(count: int) -> list[str]:
    """Return the TF_CONFIG of each worker of a cluster, on free ports."""
    workers = [f"{LOOPBACK}:{port}" for port in free_ports(count)]
    return [
        json.dumps({"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}})
        for index in range(count)
    ]

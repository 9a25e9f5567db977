"""Clusters of several workers on this machine."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence

from deploy.support.processes import LOOPBACK, free_ports


def tf_configs(count: int) -> list[str]:
    """Return the TF_CONFIG of each worker of a cluster, on free ports."""
    workers = [f"{LOOPBACK}:{port}" for port in free_ports(count)]
    return [
        json.dumps({"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}})
        for index in range(count)
    ]


def start_workers(command: Sequence[str], count: int) -> list[subprocess.Popen[bytes]]:
    """Start a command once for each worker of a cluster, or once without one if `count` is 1.

    What they print is dropped.
    """
    return [
        subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "TF_CONFIG": config},
        )
        for config in (tf_configs(count) if count > 1 else [""])
    ]

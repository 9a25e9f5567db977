"""The machines that train together, as the environment variable TF_CONFIG names them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from charseq.errors import DataError

VARIABLE = "TF_CONFIG"
EXPECTED = (
    'expected {"cluster": {"worker": ["HOST:PORT", …]}, "task": {"type": "worker", "index": 0}}, '
    "the index of each worker its own"
)
# The jobs whose processes train; TensorFlow knows parameter servers and evaluators, too.
_JOBS = ("chief", "worker")
_ADDRESS = re.compile(r".+:[0-9]+")
_SHOWN_WIDTH = 60


def read_workers() -> tuple[str, ...]:
    """Return the addresses of the chief and the workers that TF_CONFIG names, which is checked.

    None are named by a variable that is not set or empty, or that names no cluster.

    Raises:
        DataError: it cannot be read, or this process is none of the workers.
    """
    text = os.environ.get(VARIABLE, "").strip()
    return parse_workers(text) if text else ()


@contextmanager
def no_cluster() -> Iterator[None]:
    """Hide TF_CONFIG in the block, from TensorFlow too."""
    text = os.environ.pop(VARIABLE, None)
    try:
        yield
    finally:
        if text is not None:
            os.environ[VARIABLE] = text


def parse_workers(text: str) -> tuple[str, ...]:
    """Return the addresses that a TF_CONFIG names, as `read_workers`."""
    try:
        content = json.loads(text)
    except ValueError as error:
        raise _error(f"not JSON: {error}") from error
    if not isinstance(content, dict):
        raise _error(f"got {_shorten(content)}")
    cluster = content.get("cluster") or {}
    if not isinstance(cluster, dict):
        raise _error(f'"cluster": got {_shorten(cluster)}')
    for job, addresses in cluster.items():
        _check_job(job, addresses)
    workers = tuple(address for job in _JOBS for address in cluster.get(job, ()))
    if workers:
        _check_task(content.get("task"), cluster)
    return workers


def _check_job(job: str, addresses: Any) -> None:
    if job not in _JOBS:
        raise _error(f'job {_shorten(job)}: only "chief" and "worker" can train')
    if not isinstance(addresses, list):
        raise _error(f'"{job}": got {_shorten(addresses)}, no list')
    for address in addresses:
        if not isinstance(address, str) or not _ADDRESS.fullmatch(address):
            raise _error(f'"{job}": got {_shorten(address)}, no HOST:PORT')
    if job == "chief" and len(addresses) > 1:
        raise _error(f'"chief": got {len(addresses)} addresses, and there is one chief')


def _check_task(task: Any, cluster: Mapping[str, list[str]]) -> None:
    """Check that the task of this process is one of the cluster.

    The index may be a text of digits, as TensorFlow takes it.
    """
    if not isinstance(task, dict):
        raise _error(f'"task": got {_shorten(task)}')
    kind, index = task.get("type"), task.get("index")
    if not isinstance(kind, str) or kind not in cluster:
        raise _error(f'the "type" of "task": got {_shorten(kind)}, no job of the cluster')
    count = len(cluster[kind])
    if not re.fullmatch("[0-9]+", str(index)) or int(str(index)) >= count:
        raise _error(f'the "index" of "task": got {_shorten(index)}, but job "{kind}" has {count}')


def _shorten(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= _SHOWN_WIDTH else f"{text[:_SHOWN_WIDTH]}…"


def _error(what: str) -> DataError:
    return DataError(f"{VARIABLE}: {what}; {EXPECTED}")

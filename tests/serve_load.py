"""python -m tests.serve_load: charseq serve under load, while versions come, go and fail.

Every `--every` seconds another version becomes current: promoted, rolled back to, or broken. Each
answer is compared with that of the version in its header. At the end the server is killed and
started again. Exit status 1 if an answer was wrong or missing, if the memory of the server and its
processes grew by more than 5 % from a fifth of the time to the end, or if it took more than 15 s
to be ready again.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

from charseq.process.processes import descendants
from tests.support.serving import Callers, Reply, Server, started
from tests.support.versioned_model import add_version, find_fault, point, save_versioned_model

_GROWTH, _SECONDS_TO_READY = 1.05, 15.0
_FIRST, _SECOND, _THIRD, _BROKEN = 1, 2, 3, 4
# Promotions, a rollback, a broken version, a rollback over two.
_ORDER = (_SECOND, _THIRD, _SECOND, _BROKEN, _THIRD, _FIRST)


def main() -> int:
    """Run the load; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--every", type=float, default=20)
    parser.add_argument("--clients", type=int, default=8)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        registry = make_registry(Path(folder))
        with started(registry, Path(folder, "first")) as server:
            server.wait_until_serving()
            failed = load(server, registry, args.seconds, args.every, args.clients)
            server.process.send_signal(signal.SIGKILL)
        return int(failed | start_again(registry, Path(folder, "second")))


def make_registry(folder: Path) -> Path:
    """Write a registry of three versions and a fourth, which is cut off."""
    registry = folder / "registry"
    registry.mkdir()
    for version in (_FIRST, _SECOND, _THIRD):
        add_version(registry, version, save_versioned_model(folder / str(version), version))
    shutil.copytree(registry / str(_FIRST), registry / str(_BROKEN))
    with (registry / str(_BROKEN) / "saved_model.pb").open("r+b") as file:
        file.truncate(1000)
    point(registry, _FIRST)
    return registry


def load(server: Server, registry: Path, seconds: float, every: float, clients: int) -> bool:
    """Ask while versions change; return whether anything went wrong."""
    began = time.monotonic()
    numbers: Iterator[int] = cycle(_ORDER)
    early: int | None = None
    with Callers(server, clients, _fault_of) as callers:
        while (now := time.monotonic() - began) < seconds:
            if early is None and now > seconds / 5:
                early = memory_of(server)
            point(registry, next(numbers))
            time.sleep(min(every, seconds - now))
    late = memory_of(server)
    growth = late / (early or late)
    answers = callers.answered.total()
    print(f"{answers:,} answers ({answers / seconds:,.0f}/s), {len(callers.faults)} wrong")
    print(f"by version: {dict(sorted(callers.answered.items()))}")
    print("events:", *(f"{event} {version};" for event, version in server.events()))
    print(f"memory: {(early or late) / 1e6:.0f} MB, then {late / 1e6:.0f} MB")
    for fault in callers.faults[:5]:
        print(fault)
    return bool(callers.faults) or growth > _GROWTH


def _fault_of(text: str, reply: Reply) -> str:
    return find_fault(text, reply.status, reply.headers.get("x-model-version", ""), reply.body)


def memory_of(server: Server) -> int:
    """Return the resident bytes of a server with one process of a model, once it has only one."""
    while len(pids := [server.process.pid, *descendants(server.process.pid)]) != 2:
        time.sleep(0.2)
    total = 0
    for pid in pids:
        status = Path(f"/proc/{pid}/status").read_text()
        total += int(status.partition("VmRSS:")[2].split()[0]) * 1024
    return total


def start_again(registry: Path, folder: Path) -> bool:
    """Start a server; return whether it took too long to be ready."""
    began = time.monotonic()
    with started(registry, folder) as server:
        server.wait_until_serving()
        seconds = time.monotonic() - began
        print(f"ready again after {seconds:.1f} s")
        assert server.client().predict("abc").status == 200
    return seconds > _SECONDS_TO_READY


if __name__ == "__main__":
    sys.exit(main())

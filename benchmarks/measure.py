"""Measure wall time, CPU time and peak memory of a command and its child processes."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from charseq.errors import DataError

_SAMPLE_SECONDS = 0.1
_PAGE_BYTES = resource.getpagesize()
_SHOWN_OUTPUT = 2000


class Cost(NamedTuple):
    """What one run took.

    wall: seconds. cpu: user and system seconds of the process and its descendants. peak: bytes,
    the largest sum of the resident sets of the process and its descendants, looked at ten times a
    second; pages that processes share count once for each of them.
    """

    wall: float
    cpu: float
    peak: int


def run_measured(command: Sequence[str], environment: Mapping[str, str]) -> Cost:
    """Run `command` to its end.

    Raises:
        DataError: it failed; the message ends with the last it printed.
    """
    with tempfile.TemporaryFile() as output:
        cpu, started = _ended_children_cpu(), time.perf_counter()
        process = subprocess.Popen(
            command, stdout=output, stderr=output, env=environment, start_new_session=True
        )
        with _memory_watched(process.pid) as peaks:
            _wait(process)
            wall, cpu = time.perf_counter() - started, _ended_children_cpu() - cpu
        if process.returncode:
            output.seek(0)
            told = output.read().decode(errors="replace")[-_SHOWN_OUTPUT:]
            raise DataError(f"{' '.join(command)}: exit status {process.returncode}\n{told}")
    return Cost(wall, cpu, max(peaks))


def _wait(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait()
    except KeyboardInterrupt:
        # In a session of its own, it did not get the interrupt.
        os.killpg(process.pid, signal.SIGKILL)
        raise


def _ended_children_cpu() -> float:
    """CPU seconds of all children that have ended, and of the children they waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


@contextmanager
def _memory_watched(session: int) -> Iterator[list[int]]:
    """Resident bytes of a session's processes, one number a moment while the block runs."""
    samples = [_resident_bytes(session)]
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_SAMPLE_SECONDS):
            samples.append(_resident_bytes(session))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield samples
    finally:
        ended.set()
        watcher.join()


def _resident_bytes(session: int) -> int:
    """Sum of the resident sets of a session's processes; fields as in proc_pid_stat(5)."""
    total = 0
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        try:
            stat = Path(entry.path, "stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended meanwhile
        fields = stat.rpartition(")")[2].split()
        if int(fields[3]) == session:
            total += int(fields[21]) * _PAGE_BYTES
    return total

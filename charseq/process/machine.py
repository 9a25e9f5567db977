"""What this process may use of its machine: the limits of its container count, too."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Iterator, Mapping
from pathlib import Path

_ROOT = Path("/")
# Pools of TensorFlow and of the libraries below it; by default they follow the machine's cores.
_POOLS = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")
# Instructions by which TensorFlow, XLA and oneDNN choose their kernels.
_INSTRUCTIONS = (
    *("sse4_2", "avx", "avx2", "fma", "avx512f", "avx512_bf16", "amx_tile"),
    *("asimd", "sve"),  # of ARM
)
_FLAGS = ("XLA_FLAGS", "TF_XLA_FLAGS", "TF_ENABLE_ONEDNN_OPTS")


def cpu_count(root: Path = _ROOT) -> int:
    """Return how many cores this process keeps busy: of its cpuset, and by its CPU quota."""
    return max(1, math.ceil(min(len(os.sched_getaffinity(0)), _cpu_quota(root))))


def memory_bytes(root: Path = _ROOT) -> int:
    """Return the bytes that this process may take: the machine's, or fewer by a limit."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    names = ("memory.max", "memory.limit_in_bytes")
    texts = [text for name in names for text in _read_all(root, "memory", name)]
    return min([physical, *(int(text) for text in texts if text != "max")])


def format_bytes(count: int) -> str:
    """Return a number of bytes as text, such as `1.5 GB`."""
    units = ("bytes", "kB", "MB", "GB", "TB", "PB", "EB")
    power = min((len(str(count)) - 1) // 3, len(units) - 1)
    return f"{count / 1000**power:,.{min(power, 1)}f} {units[power]}"


def limit_thread_pools(root: Path = _ROOT) -> None:
    """Let the pools of libraries that are not yet imported have as many threads as `cpu_count`.

    They know of cpusets themselves, not of quotas; a pool that the user sets is left alone.
    """
    count = cpu_count(root)
    if count < len(os.sched_getaffinity(0)):
        for name in _POOLS:
            os.environ.setdefault(name, str(count))


def describe_machine(root: Path = _ROOT) -> dict[str, str]:
    """Return what the last bits of a computation may depend on, besides the versions."""
    flags = {name: os.environ.get(name, "") for name in _FLAGS}
    return {
        "processor": platform.machine(),
        "instructions": " ".join(_instructions(root)),
        "threads": os.environ.get("TF_NUM_INTRAOP_THREADS", str(cpu_count(root))),
        **flags,
    }


def _instructions(root: Path) -> list[str]:
    for line in (root / "proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):
            present = set(value.split())
            return [name for name in _INSTRUCTIONS if name in present]
    return []


def _cpu_quota(root: Path) -> float:
    """Return the least quota of the process's control groups, in cores; infinite for none."""
    quotas = [text.split() for text in _read_all(root, "cpu", "cpu.max")]
    for directory in _directories(root, "cpu"):
        files = [directory / "cpu.cfs_quota_us", directory / "cpu.cfs_period_us"]
        if all(file.is_file() for file in files):
            quotas.append([file.read_text().strip() for file in files])
    limits = [int(quota) / int(period) for quota, period in quotas if quota not in ("max", "-1")]
    return min(limits, default=math.inf)


def _read_all(root: Path, controller: str, name: str) -> list[str]:
    """Return the content of a file in each control group that the process is below."""
    files = [directory / name for directory in _directories(root, controller)]
    return [file.read_text().strip() for file in files if file.is_file()]


def _directories(root: Path, controller: str) -> Iterator[Path]:
    """Yield where the control groups of the process may be, of version 1 and 2, outermost last.

    In a container `/proc/self/cgroup` may give a path on the host: then only the top exists.
    """
    for controllers, path in _control_groups(root).items():
        mounts = ["", "unified"] if controllers == "" else [controllers, controller]
        if controllers == "" or controller in controllers.split(","):
            for mount in mounts:
                top = root / "sys/fs/cgroup" / mount
                group = top / path.lstrip("/")
                yield from (group, *(each for each in group.parents if each.is_relative_to(top)))


def _control_groups(root: Path) -> Mapping[str, str]:
    """Return the path of the process's control group by controllers, "" for version 2."""
    file = root / "proc/self/cgroup"
    lines = file.read_text().splitlines() if file.is_file() else []
    return {controllers: path for _, controllers, path in (line.split(":", 2) for line in lines)}

"""Limits of containers, from the files of both versions of control groups."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from charseq.process import machine

pytestmark = pytest.mark.unit

GIB = 1 << 30


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.setattr("os.sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 16 * GIB // 4096}.get)


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    return root


@pytest.mark.parametrize(
    ("files", "cores", "gib"),
    [
        ({}, 8, 16),
        ({"proc/self/cgroup": "0::/"}, 8, 16),
        (
            {
                "proc/self/cgroup": "0::/",
                "sys/fs/cgroup/cpu.max": "150000 100000",
                "sys/fs/cgroup/memory.max": str(3 * GIB),
            },
            2,
            3,
        ),
        (
            {
                "proc/self/cgroup": "0::/kubepods/pod1/main",
                "sys/fs/cgroup/kubepods/pod1/main/cpu.max": "max 100000",
                "sys/fs/cgroup/kubepods/pod1/cpu.max": "50000 100000",
                "sys/fs/cgroup/kubepods/pod1/main/memory.max": "max",
                "sys/fs/cgroup/kubepods/pod1/memory.max": str(2 * GIB),
                "sys/fs/cgroup/kubepods/memory.max": str(12 * GIB),
            },
            1,
            2,
        ),
        (
            {
                "proc/self/cgroup": "3:cpu,cpuacct:/docker/ab\n2:memory:/docker/ab\n1:pids:/",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "300000",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": str(5 * GIB),
            },
            3,
            5,
        ),
        (
            {
                "proc/self/cgroup": "3:cpu:/a\n2:memory:/a",
                "sys/fs/cgroup/cpu/a/cpu.cfs_quota_us": "-1",
                "sys/fs/cgroup/cpu/a/cpu.cfs_period_us": "100000",
                "sys/fs/cgroup/memory/a/memory.limit_in_bytes": "9223372036854771712",
            },
            8,
            16,
        ),
    ],
    ids=["no control groups", "version 2, none", "version 2", "a parent", "version 1", "1, none"],
)
def test_limits_of_containers(tmp_path: Path, files: dict[str, str], cores: int, gib: int) -> None:
    root = write(tmp_path, files)
    assert machine.cpu_count(root) == cores
    assert machine.memory_bytes(root) == gib * GIB


def test_pools_of_libraries_follow_a_quota(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.environ", environment := {"OMP_NUM_THREADS": "5"})
    machine.limit_thread_pools(write(tmp_path, {}))
    assert environment == {"OMP_NUM_THREADS": "5"}
    files = {"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "300000 100000"}
    machine.limit_thread_pools(write(tmp_path, files))
    assert environment == {
        "OMP_NUM_THREADS": "5",
        "TF_NUM_INTRAOP_THREADS": "3",
        "TF_NUM_INTEROP_THREADS": "3",
    }


def test_what_bits_depend_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.environ", {"XLA_FLAGS": "--xla_cpu_max_isa=AVX"})
    root = write(tmp_path, {"proc/cpuinfo": "model name\t: X\nflags\t\t: fpu avx2 fma sse2"})
    assert machine.describe_machine(root) == {
        "processor": os.uname().machine,
        "instructions": "avx2 fma",
        "threads": "8",
        "XLA_FLAGS": "--xla_cpu_max_isa=AVX",
        "TF_XLA_FLAGS": "",
        "TF_ENABLE_ONEDNN_OPTS": "",
    }

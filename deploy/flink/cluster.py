"""A Flink cluster of local processes on the loopback interface, with Beam's job server.

Flink is started from its jars with the commands of its own scripts.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from deploy.support.cluster import LocalCluster
from deploy.support.processes import LOOPBACK, Service, free_ports

_JOB_MANAGER = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
_TASK_MANAGER = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"
_JOB_SERVER = "org.apache.beam.runners.flink.FlinkJobServerDriver"
_TASK_MANAGER_HEAP = "640m"  # framework and task together
_TASK_MANAGER_MEMORY = {
    "framework.heap.size": "128m",
    "task.heap.size": "512m",
    "framework.off-heap.size": "128m",
    "task.off-heap.size": "128m",
    "managed.size": "256m",
    # Every edge of the graph has its buffers, and the graph has more than 200 tasks.
    "network.min": "256m",
    "network.max": "256m",
    "jvm-metaspace.size": "256m",
    "jvm-overhead.min": "128m",
    "jvm-overhead.max": "128m",
}


class Cluster(LocalCluster):
    """A JobManager, TaskManagers of one slot each, and a job server."""

    name = "Flink"
    worker_name = "TaskManager"
    pom = Path(__file__).with_name("pom.xml")
    workers_flag = "--task-managers"
    page_flag = "--rest-port"
    usual_page_port = 8081
    worker_idle_seconds = 3

    def _start_engine(self) -> None:
        settings = _settings(self._page, self.folder)
        lines = "".join(f"{name}: {value}\n" for name, value in settings.items())
        (self.folder / "config.yaml").write_text(lines)
        self._start_java("job-manager", "512m", _JOB_MANAGER, "--configDir", str(self.folder))

    def _start_worker(self, name: str) -> Service:
        flags = ["--configDir", str(self.folder)]
        return self._start_java(name, _TASK_MANAGER_HEAP, _TASK_MANAGER, *flags)

    def _start_job_server(self, flags: Mapping[str, object]) -> None:
        flags = {"flink-master": f"{LOOPBACK}:{self._page}", **flags}
        given = (f"--{name}={value}" for name, value in flags.items())
        self._start_java("job-server", "512m", _JOB_SERVER, *given)

    def _registered_workers(self) -> int:
        return int(self._ask("/overview")["slots-total"])

    def recoveries(self) -> int:
        """Return how many jobs were started again."""
        jobs = [job["jid"] for job in self._ask("/jobs/overview")["jobs"]]
        states = [self._ask(f"/jobs/{job}")["timestamps"] for job in jobs]
        return sum(bool(each["RESTARTING"]) for each in states)

    def beam_flags(self) -> list[str]:
        """Return the Beam flags that run a pipeline on this cluster."""
        return [*super().beam_flags(), f"--parallelism={self._size}"]


def _settings(rest_port: int, folder: Path) -> Mapping[str, object]:
    """Return Flink's configuration."""
    (rpc_port,) = free_ports(1)
    return {
        "jobmanager.rpc.address": LOOPBACK,
        "jobmanager.rpc.port": rpc_port,
        "jobmanager.bind-host": LOOPBACK,
        "rest.address": LOOPBACK,
        "rest.bind-address": LOOPBACK,
        "rest.port": rest_port,
        "taskmanager.host": LOOPBACK,
        "taskmanager.bind-host": LOOPBACK,
        "taskmanager.numberOfTaskSlots": 1,
        "taskmanager.cpu.cores": 1,
        **{f"taskmanager.memory.{name}": size for name, size in _TASK_MANAGER_MEMORY.items()},
        "io.tmp.dirs": folder,
        "heartbeat.interval": 1000,
        "heartbeat.timeout": 10000,
        "restart-strategy.type": "fixed-delay",
        "restart-strategy.fixed-delay.attempts": 1,
        # TFT fails in a Python worker that has seen the attempt before: let them all end first.
        "restart-strategy.fixed-delay.delay": f"{Cluster.worker_idle_seconds * 5} s",
        # Beam writes TFT's vocabularies in steps that cannot be repeated one without the other.
        "jobmanager.execution.failover-strategy": "full",
        # The job server sends its jars along, and they are the cluster's own.
        "classloader.resolve-order": "parent-first",
    }

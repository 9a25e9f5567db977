"""A Flink cluster of local processes on the loopback interface, with Beam's job server.

Flink is started from its jars with the commands of its own scripts. In Beam's environment PROCESS
each TaskManager starts its Python worker, which ends with it. In EXTERNAL it requests workers
from a worker pool, as in a Kubernetes pod with both.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from charseq.errors import DataError
from deploy.flink.processes import LOOPBACK, Service, free_ports, listens, wait_until

POM = Path(__file__).with_name("pom.xml")
_JOB_MANAGER = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
_TASK_MANAGER = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"
_JOB_SERVER = "org.apache.beam.runners.flink.FlinkJobServerDriver"
_ADD_OPENS = [
    f"--add-opens=java.base/{package}=ALL-UNNAMED"
    for package in ("java.lang", "java.net", "java.nio", "java.util", "sun.nio.ch")
]
# How long a Python worker waits for the next stage; starting one takes as long as TensorFlow does.
_WORKER_IDLE_SECONDS = 3
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


def fetch_jars(folder: Path, pom: Path = POM) -> Path:
    """Download the jars of `pom` with Maven, unless they are in `folder`; return their path.

    Raises:
        DataError: there is no Maven or no Java, or Maven fails.
    """
    jars, fetched, log = folder / "jars", folder / "pom.xml", folder / "maven.log"
    if fetched.exists() and fetched.read_bytes() == pom.read_bytes():
        return jars
    for tool in ("java", "mvn"):
        if shutil.which(tool) is None:
            raise DataError(f"{tool} is needed (Debian: apt-get install default-jre maven)")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    command = ["mvn", "--quiet", "--batch-mode", "--file", str(pom)]
    command += ["dependency:copy-dependencies", f"-DoutputDirectory={jars}"]
    with log.open("wb") as output:
        if subprocess.run(command, stdout=output, stderr=output, timeout=900).returncode:
            raise DataError(f"Maven could not fetch the jars: see {log}")
    shutil.copy(pom, fetched)
    return jars


class Cluster:
    """A context manager for a JobManager, TaskManagers of one slot each, and a job server.

    Settings, logs and temporary files are in `folder`, which must exist. Ports that are None are
    chosen.
    """

    def __init__(
        self,
        jars: Path,
        folder: Path,
        *,
        task_managers: int = 2,
        environment: str = "PROCESS",
        rest_port: int | None = None,
        job_port: int | None = None,
    ) -> None:
        self._jars, self._folder = jars, folder
        self._size, self._environment = task_managers, environment
        free_rest, free_job, self._pool = free_ports(3)
        self._rest, self._job_server = rest_port or free_rest, job_port or free_job
        self._task_managers: list[Service] = []
        self._started: list[Service] = []
        self._services = ExitStack()

    def __enter__(self) -> Cluster:
        with self._services:
            self._start()
            self._services = self._services.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._services.close()

    def start(self, name: str, command: Sequence[str]) -> Service:
        """Start a process that ends with the cluster."""
        service = Service(command, self._folder / f"{name}.log")
        self._started.append(service)
        self._services.callback(service.end)
        return service

    def _start_java(self, name: str, heap: str, *command: str) -> Service:
        java = ["java", f"-Xmx{heap}", *_ADD_OPENS, "-cp", f"{self._jars}/*"]
        return self.start(name, [*java, *command])

    def _start(self) -> None:
        settings = _settings(self._rest, self._folder)
        lines = "".join(f"{name}: {value}\n" for name, value in settings.items())
        (self._folder / "config.yaml").write_text(lines)
        self._boot.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m deploy.flink.boot "$@"\n')
        self._boot.chmod(0o755)
        self._start_java("job-manager", "512m", _JOB_MANAGER, "--configDir", str(self._folder))
        if self._environment == "EXTERNAL":
            self._start_worker_pool()
        for _ in range(self._size):
            self.start_task_manager()
        self._start_job_server()

    @property
    def _boot(self) -> Path:
        return self._folder / "boot"

    def _start_worker_pool(self) -> None:
        """Start Beam's worker pool on the loopback interface, as the pods of a cluster do."""
        flags = [f"--host={LOOPBACK}", f"--port={self._pool}", f"--boot={self._boot}"]
        self.start("worker-pool", [sys.executable, "-m", "pipeline.worker_pool", *flags])

    def start_task_manager(self) -> None:
        """Add a TaskManager."""
        name = f"task-manager-{len(self._task_managers) + 1}"
        flags = ["--configDir", str(self._folder)]
        service = self._start_java(name, _TASK_MANAGER_HEAP, _TASK_MANAGER, *flags)
        self._task_managers.append(service)

    def _start_job_server(self) -> None:
        flags = {
            "flink-master": f"{LOOPBACK}:{self._rest}",
            "job-host": LOOPBACK,
            "job-port": self._job_server,
            "artifact-port": 0,  # 0: any free port
            "expansion-port": 0,
            "artifacts-dir": self._folder / "artifacts",
        }
        self._start_java(
            "job-server",
            "512m",
            _JOB_SERVER,
            *(f"--{name}={value}" for name, value in flags.items()),
        )

    def wait_until_ready(self) -> None:
        """Wait for the TaskManagers and the job server.

        Raises:
            DataError: they do not come up in time, or one of them has ended.
        """
        wait_until(lambda: self._slots() == self._size, 120, f"{self._size} TaskManagers")
        wait_until(lambda: listens(self._job_server), 120, "Beam's job server")

    def require_all_run(self) -> None:
        """Check that every started process is still running.

        Raises:
            DataError: one has ended.
        """
        for service in self._started:
            if (status := service.process.poll()) is not None:
                raise DataError(f"{service.log.stem} ended with status {status}: see {service.log}")

    @property
    def page(self) -> str:
        """URL of Flink's web page and REST API."""
        return f"http://{LOOPBACK}:{self._rest}"

    def kill_task_manager(self) -> None:
        """End the oldest TaskManager and its Python worker by SIGKILL."""
        self._task_managers[0].kill()

    def restarted(self) -> bool:
        """Return whether the newest job was restarted after a failure."""
        jobs = self._ask("/jobs/overview")["jobs"]
        newest = max(jobs, key=lambda job: job["start-time"])["jid"]
        return bool(self._ask(f"/jobs/{newest}")["timestamps"]["RESTARTING"])

    def _slots(self) -> int:
        self.require_all_run()
        try:
            return int(self._ask("/overview")["slots-total"])
        except urllib.error.URLError:
            return 0

    def _ask(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self.page}{path}", timeout=10) as answer:
            return json.load(answer)

    def beam_flags(self) -> list[str]:
        """Return the Beam flags that run a pipeline on this cluster."""
        config = json.dumps({"command": str(self._boot)})
        if self._environment == "EXTERNAL":
            config = f"{LOOPBACK}:{self._pool}"
        return [
            "--runner=PortableRunner",
            f"--job_endpoint={LOOPBACK}:{self._job_server}",
            f"--environment_type={self._environment}",
            f"--environment_config={config}",
            f"--environment_cache_millis={_WORKER_IDLE_SECONDS * 1000}",
            f"--parallelism={self._size}",
        ]


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
        "restart-strategy.fixed-delay.delay": f"{_WORKER_IDLE_SECONDS * 5} s",
        # Beam writes TFT's vocabularies in steps that cannot be repeated one without the other.
        "jobmanager.execution.failover-strategy": "full",
        # The job server sends its jars along, and they are the cluster's own.
        "classloader.resolve-order": "parent-first",
    }

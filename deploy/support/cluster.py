"""A cluster of local processes on the loopback interface, with Beam's job server.

In Beam's environment PROCESS each worker of the engine starts its Python worker, which ends with
it. In EXTERNAL it requests workers from a worker pool.
"""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar

from charseq.errors import DataError
from deploy.support.processes import LOOPBACK, ROOT, Service, free_ports, listens, wait_until

if TYPE_CHECKING:
    from typing_extensions import Self

ENVIRONMENTS = ("PROCESS", "EXTERNAL")
# What engines and Beam need of Java 17 and later.
_ADD_OPENS = [
    f"--add-opens=java.base/{package}=ALL-UNNAMED"
    for package in (
        "java.lang",
        "java.lang.invoke",
        "java.net",
        "java.nio",
        "java.util",
        "java.util.concurrent",
        "java.util.concurrent.atomic",
        "sun.nio.ch",
    )
]


class LocalCluster(ABC):
    """A context manager for the processes of an engine and Beam's job server for it.

    Settings, logs and temporary files are in `folder`, which must exist. Ports that are None are
    chosen. `workers` is the number of the engine's workers; each has one core.
    """

    name: ClassVar[str]
    worker_name: ClassVar[str]  # what the engine calls its workers
    pom: ClassVar[Path]  # names the jars
    # Flags of the session command, in the words of the engine, and the usual port of its page.
    workers_flag: ClassVar[str]
    page_flag: ClassVar[str]
    usual_page_port: ClassVar[int]
    # How long a Python worker waits for the next stage; starting one takes as long as TensorFlow.
    worker_idle_seconds: ClassVar[int]

    def __init__(
        self,
        jars: Path,
        folder: Path,
        *,
        workers: int = 2,
        environment: str = "PROCESS",
        page_port: int | None = None,
        job_port: int | None = None,
    ) -> None:
        self.folder = folder
        self._jars = jars
        self._size, self._environment = workers, environment
        free_page, free_job, self._pool = free_ports(3)
        self._page, self._job_server = page_port or free_page, job_port or free_job
        self._workers: list[Service] = []
        self._started: list[Service] = []
        self._services = ExitStack()

    @classmethod
    def cache(cls) -> Path:
        """Return the directory of its jars and of the logs of its sessions and tests."""
        return ROOT / "build" / cls.name.lower()

    def __enter__(self) -> Self:
        with self._services:
            self._start()
            self._services = self._services.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._services.close()

    @abstractmethod
    def _start_engine(self) -> None:
        """Start what is one of its kind in the cluster."""

    @abstractmethod
    def _start_worker(self, name: str) -> Service:
        """Start one worker of the engine."""

    @abstractmethod
    def _start_job_server(self, flags: Mapping[str, object]) -> None:
        """Start Beam's job server with its flags, and those of the engine."""

    @abstractmethod
    def _registered_workers(self) -> int:
        """Return how many workers the engine has, by `_ask`."""

    @abstractmethod
    def recoveries(self) -> int:
        """Return how many failures of jobs or of their parts the engine has gone on after."""

    def start(
        self, name: str, command: Sequence[str], variables: Mapping[str, str] | None = None
    ) -> Service:
        """Start a process that ends with the cluster."""
        service = Service(command, self.folder / f"{name}.log", variables)
        self._started.append(service)
        self._services.callback(service.end)
        return service

    def _start_java(
        self,
        name: str,
        heap: str,
        *command: str,
        variables: Mapping[str, str] | None = None,
    ) -> Service:
        java = ["java", f"-Xmx{heap}", *_ADD_OPENS, "-cp", f"{self._jars}/*"]
        return self.start(name, [*java, *command], variables)

    def _start(self) -> None:
        self._boot.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m deploy.support.boot "$@"\n')
        self._boot.chmod(0o755)
        self._start_engine()
        if self._environment == "EXTERNAL":
            self._start_worker_pool()
        for _ in range(self._size):
            self.start_worker()
        self._start_job_server(
            {
                "job-host": LOOPBACK,
                "job-port": self._job_server,
                "artifact-port": 0,  # 0: any free port
                "expansion-port": 0,
                "artifacts-dir": self.folder / "artifacts",
            }
        )

    @property
    def _boot(self) -> Path:
        return self.folder / "boot"

    def _start_worker_pool(self) -> None:
        """Start Beam's worker pool on the loopback interface, as the pods of a cluster do."""
        flags = [f"--host={LOOPBACK}", f"--port={self._pool}", f"--boot={self._boot}"]
        self.start("worker-pool", [sys.executable, "-m", "pipeline.worker_pool", *flags])

    def start_worker(self) -> None:
        """Add a worker of the engine."""
        name = f"{self.worker_name.lower()}-{len(self._workers) + 1}"
        self._workers.append(self._start_worker(name))

    def kill_worker(self) -> None:
        """End the oldest worker and what it has started, its Python worker too, by SIGKILL."""
        self._workers[0].kill()

    def wait_until_ready(self) -> None:
        """Wait for the workers and the job server.

        Raises:
            DataError: they do not come up in time, or one of them has ended.
        """
        wait_until(self._all_are_there, 120, f"{self._size} {self.worker_name}s")
        wait_until(lambda: listens(self._job_server), 120, "Beam's job server")

    def _all_are_there(self) -> bool:
        self.require_all_run()
        try:
            return self._registered_workers() == self._size
        except urllib.error.URLError:
            return False

    def _ask(self, path: str) -> Any:
        """Return what the engine's web page says in JSON at a path.

        Raises:
            urllib.error.URLError: it does not answer.
        """
        with urllib.request.urlopen(f"{self.page}{path}", timeout=10) as answer:
            return json.load(answer)

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
        """URL of the engine's web page."""
        return f"http://{LOOPBACK}:{self._page}"

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
            f"--environment_cache_millis={self.worker_idle_seconds * 1000}",
        ]

"""A standalone Spark cluster of local processes on the loopback interface, with Beam's job server.

Spark is started from its jars with the commands of its own scripts. The job server, started as
spark-submit does, is the driver of every job that it gets.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from deploy.support.cluster import LocalCluster
from deploy.support.processes import LOOPBACK, Service, free_ports

_MASTER = "org.apache.spark.deploy.master.Master"
_WORKER = "org.apache.spark.deploy.worker.Worker"
_SUBMIT = "org.apache.spark.deploy.SparkSubmit"
_JOB_SERVER = "org.apache.beam.runners.spark.SparkJobServerDriver"
_EXECUTOR_MEMORY = "1g"


class Cluster(LocalCluster):
    """A master, workers of one core each, and a job server."""

    name = "Spark"
    worker_name = "Worker"
    pom = Path(__file__).with_name("pom.xml")
    workers_flag = "--workers"
    page_flag = "--page-port"
    usual_page_port = 8080
    worker_idle_seconds = 60

    def _start_engine(self) -> None:
        (self._master,) = free_ports(1)
        flags = [f"--host={LOOPBACK}", f"--port={self._master}", f"--webui-port={self._page}"]
        self._start_spark("master", "256m", _MASTER, *_split(flags))

    def _start_worker(self, name: str) -> Service:
        flags = [
            f"--host={LOOPBACK}",
            "--webui-port=0",  # 0: any free port
            "--cores=1",
            f"--memory={_EXECUTOR_MEMORY}",
            f"--work-dir={self.folder / 'work'}",
        ]
        return self._start_spark(name, "256m", _WORKER, *_split(flags), self._master_url)

    def _start_job_server(self, flags: Mapping[str, object]) -> None:
        (jar,) = self._jars.glob("beam-runners-spark-3-*.jar")
        command = ["--master", self._master_url, "--class", _JOB_SERVER]
        for name, value in self._settings().items():
            command += ["--conf", f"{name}={value}"]
        flags = {"spark-master-url": self._master_url, **flags}
        given = (f"--{name}={value}" for name, value in flags.items())
        self._start_spark("job-server", "1g", _SUBMIT, *command, str(jar), *given)

    def _start_spark(self, name: str, heap: str, *command: str) -> Service:
        variables = {
            # Executors are started with the jars of $SPARK_HOME/jars.
            "SPARK_HOME": str(self._jars.parent),
            "SPARK_SCALA_VERSION": "2.12",
            # Where everything listens, the web pages too.
            "SPARK_LOCAL_IP": LOOPBACK,
            "SPARK_LOCAL_DIRS": str(self.folder),
        }
        return self._start_java(name, heap, *command, variables=variables)

    @property
    def _master_url(self) -> str:
        return f"spark://{LOOPBACK}:{self._master}"

    def _settings(self) -> Mapping[str, object]:
        """Return Spark's configuration of each job."""
        return {
            "spark.driver.host": LOOPBACK,
            "spark.driver.bindAddress": LOOPBACK,
            "spark.executor.memory": _EXECUTOR_MEMORY,
            "spark.default.parallelism": self._size,
            "spark.ui.enabled": "false",
        }

    def _registered_workers(self) -> int:
        return int(self._ask("/json/")["aliveworkers"])

    def recoveries(self) -> int:
        """Return how many tasks or executors the driver has seen fail."""
        text = (self.folder / "job-server.log").read_text()
        return sum(text.count(line) for line in (": Lost task ", ": Lost executor "))

    def beam_flags(self) -> list[str]:
        """Return the Beam flags that run a pipeline on this cluster."""
        # Executors have all jars of Beam, and would copy them again for each job: name one only.
        (jar,) = self._jars.glob("slf4j-api-*.jar")
        return [*super().beam_flags(), f"--beam-flag=--files_to_stage={jar}"]


def _split(flags: list[str]) -> list[str]:
    """Return `--name=value` as two words, as Spark's own classes read them."""
    return [word for flag in flags for word in flag.split("=", 1)]

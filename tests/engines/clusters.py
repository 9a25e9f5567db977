"""What is tested of an engine that deploy/ starts as a cluster of local processes."""

from __future__ import annotations

import shlex
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from charseq.errors import DataError
from deploy.support.cluster import LocalCluster
from deploy.support.maven import fetch_jars
from deploy.support.processes import Service, free_ports, listens, wait_until
from tests.engines.checks import (
    RUN_SECONDS,
    check,
    check_the_same,
    prepare,
    read_checked,
    start_pipeline,
    step,
)
from tests.engines.datasets import LocalDatasets, write_rows


def test_on_cluster(kind: type[LocalCluster], logs: Path, local: LocalDatasets) -> int:
    """Run the tests on a cluster; their number."""
    with step(f"jars of {kind.name} and of Beam's job server"):
        jars = fetch_jars(kind.cache(), kind.pom)
    with tempfile.TemporaryDirectory() as temporary:
        test_the_session_command_and_a_worker_pool(kind, Path(temporary), logs)
    with tempfile.TemporaryDirectory() as temporary, kind(jars, logs) as cluster:
        folder = Path(temporary)
        with step(f"{kind.name} with two {kind.worker_name}s and a job server starts"):
            cluster.wait_until_ready()
        test_errors_take_one_line(cluster, folder)
        test_the_same_bytes_though_a_worker_is_lost(cluster, folder)
        return 3 + local.compare(kind.name, cluster.beam_flags())


def test_the_session_command_and_a_worker_pool(
    kind: type[LocalCluster], folder: Path, logs: Path
) -> None:
    """The command says which flags to use, Beam's EXTERNAL environment works, and all ends."""
    sample = write_rows(folder / "rows.csv", 5_000)
    page, job = free_ports(2)
    module = f"deploy.{kind.name.lower()}.session"
    command = [
        sys.executable,
        "-m",
        module,
        f"{kind.workers_flag}=1",
        "--environment=EXTERNAL",
        f"{kind.page_flag}={page}",
        f"--job-port={job}",
    ]
    session = Service(command, logs / "session.log")
    try:
        with step(f"python -m {module} with one {kind.worker_name} and a worker pool starts"):
            wait_until(lambda: _flags(session) != [], 180, "the session command's flags")
        flags = _flags(session)
        check("the environment", "--environment_type=EXTERNAL" in flags, True)
        local = prepare(str(sample), folder / "pool-local", logs, "--num-shards=2")
        with step("5,000 rows on it"):
            found = prepare(str(sample), folder / "pool", logs, "--num-shards=2", *flags)
        check_the_same(found, local)
    finally:
        with step("SIGTERM ends it, and all that it started"):
            session.process.terminate()
            status = session.wait(120)
    check("the session command's exit status", status, 0)
    check("what still listens", [port for port in (page, job) if listens(port)], [])


def _flags(session: Service) -> list[str]:
    """What the session command's last line says once all is there."""
    if (status := session.process.poll()) is not None:
        raise DataError(f"the session command ended with status {status}: see {session.log}")
    *_, last = ["", *session.log.read_text().splitlines()]
    return shlex.split(last) if last.startswith("--runner=") else []


def test_errors_take_one_line(cluster: LocalCluster, folder: Path) -> None:
    """A DataError that is raised in a worker reaches the user as one line.

    Engines do not know that trying again is no use.
    """
    sample, before = folder / "one-label.csv", cluster.recoveries()
    sample.write_text("sequence,label\n" + "".join(f"{c},x\n" for c in "ACDEFGHIKL"))
    with (
        step(f"a file of one label is refused on {cluster.name}, more than once"),
        _started(cluster, sample, folder / "refused") as service,
    ):
        status = service.wait(RUN_SECONDS)
    check("another try", cluster.recoveries() > before, True)
    *_, last = service.log.read_text().splitlines()
    check("the pipeline's exit status", status, 1)
    check("last line", last[:50], "error: the train rows have only the label 'x', exp")
    check("a traceback", "Traceback" in service.log.read_text(), False)
    check("a dataset", (folder / "refused" / "dataset.json").exists(), False)


def test_the_same_bytes_though_a_worker_is_lost(cluster: LocalCluster, folder: Path) -> None:
    """The job goes on with a new worker and ends with the same bytes."""
    sample, output = write_rows(folder / "large.csv", 600_000), folder / "large"
    before = cluster.recoveries()
    with step("600,000 rows in this process's runner"):
        local = prepare(str(sample), folder / "large-local", cluster.folder, "--num-shards=32")
    with _started(cluster, sample, output, "--num-shards=32") as service:
        with step(f"600,000 rows on {cluster.name} until the graph is there to write them with"):
            wait_until(_graph_or_end(output, service), RUN_SECONDS, "a graph in the staging")
        with step(f"SIGKILL to a {cluster.worker_name} and all that it started, and a new one"):
            check("the pipeline's exit status in mid-job", service.process.poll(), None)
            cluster.kill_worker()
            check("a finished dataset", (output / "dataset.json").exists(), False)
            cluster.start_worker()
        with step("the job goes on and ends"):
            check("the pipeline's exit status", service.wait(RUN_SECONDS), 0)
    check("another try", cluster.recoveries() > before, True)
    check_the_same(read_checked(output), local)


def _graph_or_end(output: Path, service: Service) -> Callable[[], bool]:
    """Whether the graph that rows are written with is there, or the pipeline has ended."""
    return lambda: (
        any(output.glob(".staging/*/transform*/transform_fn/saved_model.pb"))
        or service.process.poll() is not None
    )


@contextmanager
def _started(cluster: LocalCluster, sample: Path, output: Path, *flags: str) -> Iterator[Service]:
    """The pipeline on the cluster, ended with the block."""
    beam_flags = cluster.beam_flags()
    service = start_pipeline(str(sample), output, cluster.folder, *flags, *beam_flags)
    try:
        yield service
    finally:
        service.end()

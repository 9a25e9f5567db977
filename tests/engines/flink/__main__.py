"""python -m tests.engines.flink: the same bytes from Flink, also when a TaskManager is lost.

It fetches Flink (some 150 MB, once) and starts it on this machine; see deploy/flink.
"""

from __future__ import annotations

import json
import shlex
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from charseq.cli import exit_status, heavy_imports
from charseq.errors import DataError
from deploy.flink.cluster import Cluster, fetch_jars
from deploy.flink.processes import Service, free_ports, listens, wait_until
from deploy.flink.session import CACHE
from pipeline.sample import main as write_sample

LOGS = CACHE / "run"
RUN_SECONDS = 600
SAME = ("fingerprint", "shards", "counts", "label_counts", "length_histogram")
WAYS_TO_SPLIT = {
    "stratify": ["--stratify"],
    "group": ["--group-column=group"],
    "folds": ["--folds=4", "--stratify"],
    "column": ["--split-column=part"],
    "similar": ["--similar=0.7"],
    "similar, drop": ["--similar=0.7", "--similar-policy=drop"],
}
UNFIT_ROWS = ",alpha\nACD,\nACD,alpha,more\nACD,alpha\nACD,alpha\nACD,beta\n"


def main() -> int:
    """Run the tests; 1 at the first that fails."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    status = exit_status(_run_tests)
    if status == 1:
        _print_ends_of_logs()
    return status


def _print_ends_of_logs() -> None:
    """The machine of a failed CI run is gone, and its logs with it."""
    for log in sorted(LOGS.glob("*.log")):
        print(f"== end of {log.name}", *log.read_text().splitlines()[-15:], sep="\n")


def _run_tests() -> None:
    with step("jars of Flink and of Beam's job server"):
        jars = fetch_jars(CACHE)
    shutil.rmtree(LOGS, ignore_errors=True)
    LOGS.mkdir()
    with tempfile.TemporaryDirectory() as temporary:
        test_the_session_command_and_a_worker_pool(Path(temporary), LOGS)
    with tempfile.TemporaryDirectory() as temporary, Cluster(jars, LOGS) as cluster:
        folder = Path(temporary)
        with step("a JobManager, two TaskManagers and a job server start"):
            cluster.wait_until_ready()
        test_errors_take_one_line(cluster, folder)
        test_the_same_bytes(cluster, folder)
        test_the_same_splits(cluster, folder)
        test_rows_are_added_to_the_same_base(cluster, folder)
        test_the_same_bytes_though_a_task_manager_is_lost(cluster, folder)
    print("6 passed, 0 failed")


@contextmanager
def step(what: str) -> Iterator[None]:
    """Say what is done, and how long it took."""
    started = time.monotonic()
    print(f"{what} … ", end="", flush=True)
    try:
        yield
    except BaseException:
        print("failed")
        raise
    print(f"{time.monotonic() - started:.1f} s")


def test_the_session_command_and_a_worker_pool(folder: Path, logs: Path) -> None:
    """The command says which flags to use, Beam's EXTERNAL environment works, and all ends."""
    sample = write_rows(folder / "rows.csv", 5_000)
    rest, job = free_ports(2)
    command = [
        sys.executable,
        "-m",
        "deploy.flink.session",
        "--task-managers=1",
        "--environment=EXTERNAL",
        f"--rest-port={rest}",
        f"--job-port={job}",
    ]
    session = Service(command, logs / "session.log")
    try:
        with step("python -m deploy.flink.session with one TaskManager and a worker pool starts"):
            wait_until(lambda: _flags(session) != [], 180, "the session command's flags")
        flags = _flags(session)
        check("the environment", "--environment_type=EXTERNAL" in flags, True)
        local = run_pipeline(sample, folder / "pool-local", logs, "--num-shards=2")
        with step("5,000 rows on it"):
            found = run_pipeline(sample, folder / "pool-flink", logs, "--num-shards=2", *flags)
        check_the_same(found, local)
    finally:
        with step("SIGTERM ends it, and all that it started"):
            session.process.terminate()
            status = session.wait(120)
    check("the session command's exit status", status, 0)
    check("what still listens", [port for port in (rest, job) if listens(port)], [])


def _flags(session: Service) -> list[str]:
    """What the session command's last line says once all is there."""
    if (status := session.process.poll()) is not None:
        raise DataError(f"the session command ended with status {status}: see {session.log}")
    *_, last = ["", *session.log.read_text().splitlines()]
    return shlex.split(last) if last.startswith("--runner=") else []


def run_pipeline(sample: Path, output: Path, logs: Path, *flags: str) -> dict[str, Any]:
    """Run the pipeline to its end without a `Cluster` at hand; its manifest, checked."""
    return _prepared(Service(_command(sample, output, *flags), logs / f"{output.name}.log"), output)


def test_errors_take_one_line(cluster: Cluster, folder: Path) -> None:
    """A DataError that is raised in a worker reaches the user as one line.

    Flink does not know that trying again is no use.
    """
    sample = folder / "one-label.csv"
    sample.write_text("sequence,label\n" + "".join(f"{c},x\n" for c in "ACDEFGHIKL"))
    with step("a file of one label is refused on Flink, twice"):
        service = start_pipeline(cluster, sample, folder / "refused", *cluster.beam_flags())
        status = service.wait(RUN_SECONDS)
    check("a restart of the job", cluster.restarted(), True)
    *_, last = service.log.read_text().splitlines()
    check("the pipeline's exit status", status, 1)
    check("last line", last[:50], "error: the train rows have only the label 'x', exp")
    check("a traceback", "Traceback" in service.log.read_text(), False)
    check("a dataset", (folder / "refused" / "dataset.json").exists(), False)


def test_the_same_bytes(cluster: Cluster, folder: Path) -> None:
    """Flink writes what the in-process runner writes."""
    flags = ["--encoding=one_hot", "--compression=gzip", "--num-shards=3"]
    sample = write_rows(folder / "small.csv", 20_000)
    with step("20,000 rows in this process's runner"):
        local = prepare(cluster, sample, folder / "small-local", *flags)
    with step("20,000 rows on Flink"):
        found = prepare(cluster, sample, folder / "small-flink", *flags, *cluster.beam_flags())
    check_the_same(found, local)


def test_the_same_splits(cluster: Cluster, folder: Path) -> None:
    """What is joined from all rows before they are split is the same on Flink."""
    sample = write_columns(folder / "columns.csv", write_rows(folder / "plain.csv", 20_000))
    for name, flags in WAYS_TO_SPLIT.items():
        with step(f"20,000 rows, {' '.join(flags)}, in this process's runner and on Flink"):
            local = prepare(cluster, sample, folder / f"{name}-local", *flags)
            on_flink = [*flags, *cluster.beam_flags()]
            found = prepare(cluster, sample, folder / f"{name}-flink", *on_flink)
        check_the_same(found, local)


def test_rows_are_added_to_the_same_base(cluster: Cluster, folder: Path) -> None:
    """Rows that Flink adds to a dataset are those that this process's runner adds."""
    sample, more = write_rows(folder / "base.csv", 20_000), folder / "more.csv"
    lines = sample.read_text().splitlines()
    more.write_text("\n".join([lines[0], *lines[1:300], *("B" + x for x in lines[300:900])]) + "\n")
    with step("20,000 rows, and 899 added to them, in this process's runner and on Flink"):
        prepare(cluster, sample, folder / "base", "--stratify")
        base = f"--base={folder / 'base'}"
        local = prepare(cluster, more, folder / "more-local", base)
        found = prepare(cluster, more, folder / "more-flink", base, *cluster.beam_flags())
    check_the_same(found, local)
    check("rows that the base has", found["counts"]["duplicates"] >= 298, True)


def write_columns(path: Path, sample: Path) -> Path:
    """Add a group and a split to each row of a sample that has a sequence and a label."""
    header, *lines = sample.read_text().splitlines()
    rows = [line for line in lines if line.count(",") == 1 and not line.startswith(",")]
    parts = [f"{line},g{n % 500},{('train', 'test')[n % 7 == 0]}" for n, line in enumerate(rows)]
    path.write_text("\n".join([f"{header},group,part", *parts]) + "\n")
    return path


def test_the_same_bytes_though_a_task_manager_is_lost(cluster: Cluster, folder: Path) -> None:
    """The job starts again on a new TaskManager and ends with the same bytes."""
    sample, output = write_rows(folder / "large.csv", 600_000), folder / "large-flink"
    with step("600,000 rows in this process's runner"):
        local = prepare(cluster, sample, folder / "large-local", "--num-shards=32")
    with step("600,000 rows on Flink until the graph is there that rows will be written with"):
        service = start_pipeline(cluster, sample, output, "--num-shards=32", *cluster.beam_flags())
        wait_until(
            lambda: (
                any(output.glob(".staging/*/transform*/transform_fn/saved_model.pb"))
                or service.process.poll() is not None
            ),
            RUN_SECONDS,
            "a graph in the staging directory",
        )
    with step("SIGKILL to a TaskManager and its worker, and a new TaskManager"):
        check("the pipeline's exit status in mid-job", service.process.poll(), None)
        cluster.kill_task_manager()
        check("a finished dataset", (output / "dataset.json").exists(), False)
        cluster.start_task_manager()
    with step("the job starts again and ends"):
        check("the pipeline's exit status", service.wait(RUN_SECONDS), 0)
    check("a restart of the job", cluster.restarted(), True)
    check_the_same(read_checked(output), local)


def write_rows(path: Path, rows: int) -> Path:
    """A sample with duplicates, an ambiguous sequence and unfit rows at its end."""
    with redirect_stdout(None):
        write_sample(["--rows", str(rows), "--output", str(path)])
    with path.open("a") as file:
        file.write(UNFIT_ROWS)
    return path


def start_pipeline(cluster: Cluster, sample: Path, output: Path, *flags: str) -> Service:
    """The project's own command, as a user gives it."""
    return cluster.start(f"pipeline-{output.name}", _command(sample, output, *flags))


def _command(sample: Path, output: Path, *flags: str) -> list[str]:
    own = ["--input", str(sample), "--output", str(output)]
    return [sys.executable, "-m", "pipeline", *own, *flags]


def prepare(cluster: Cluster, sample: Path, output: Path, *flags: str) -> dict[str, Any]:
    """Run the pipeline to its end; the manifest of a dataset that was read again."""
    return _prepared(start_pipeline(cluster, sample, output, *flags), output)


def _prepared(service: Service, output: Path) -> dict[str, Any]:
    if status := service.wait(RUN_SECONDS):
        raise DataError(f"the pipeline ended with status {status}: see {service.log}")
    return read_checked(output)


def read_checked(output: Path) -> dict[str, Any]:
    """The manifest, after every file and record was checked against it."""
    with heavy_imports():
        from pipeline.verification.verify import verify
    verify(str(output))
    return json.loads((output / "dataset.json").read_text())  # type: ignore[no-any-return]


def check_the_same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    """Compare the shards' SHA-256, the counts, and the files beside the shards.

    The graph and the report are left out: they name when and where they were made.
    """
    for name in SAME:
        check(name, found[name], expected[name])
    for manifest in (found, expected):
        manifest["files"] = [
            file
            for file in manifest["files"]
            if file["path"].startswith("rejected/") or file["path"] == "parity.jsonl"
        ]
    check("files", found["files"], expected["files"])


def check(what: str, found: object, expected: object) -> None:
    """Raise a DataError where something is not as expected."""
    if found != expected:
        raise DataError(f"{what} is {found}, expected {expected}")


if __name__ == "__main__":
    sys.exit(main())

"""Prism, built from its Go module in the version of Beam: it needs Go, or is on the PATH."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from charseq.errors import DataError
from charseq.process.processes import descendants
from deploy.support.processes import Service, wait_until
from pipeline.runtime.prism import build_command
from tests.engines.checks import RUN_SECONDS, check, start_pipeline, step
from tests.engines.datasets import LocalDatasets, write_rows
from tests.support.prism import PRISM, find_prism


def run_tests(logs: Path, local: LocalDatasets) -> int:
    """Run the tests; their number."""
    flags = ["--runner=PrismRunner", f"--prism_location={_build(logs)}"]
    with tempfile.TemporaryDirectory() as temporary:
        test_a_killed_prism_ends_the_command(flags, Path(temporary), logs)
    return 1 + local.compare("Prism", flags)


def _build(logs: Path) -> Path:
    """Build Prism, unless it is there; return its path.

    Raises:
        DataError: there is no Go, or it fails.
    """
    if found := find_prism():
        return found
    if shutil.which("go") is None:
        raise DataError("go is needed (Debian: apt-get install golang), or prism on the PATH")
    log = logs / "build.log"
    with step(build_command()), log.open("wb") as output:
        go = subprocess.run(
            shlex.split(build_command()),
            env={**os.environ, "GOBIN": str(PRISM.parent)},
            stdout=output,
            stderr=output,
            timeout=900,
        )
    if go.returncode:
        raise DataError(f"Go could not build Prism: see {log}")
    return PRISM


def test_a_killed_prism_ends_the_command(flags: list[str], folder: Path, logs: Path) -> None:
    """Prism keeps the rows in its memory: without it all is lost, and nothing is published."""
    sample, output = write_rows(folder / "large.csv", 600_000), folder / "large"
    service = start_pipeline(str(sample), output, logs, *flags)
    try:
        with step("600,000 rows on Prism, which is killed while it reads"):
            wait_until(lambda: '"reading"' in service.log.read_text(), RUN_SECONDS, "reading")
            os.kill(_prism_of(service), signal.SIGKILL)
            status = service.wait(RUN_SECONDS)
    finally:
        service.end()
    *_, last = service.log.read_text().splitlines()
    check("the pipeline's exit status", status, 1)
    check("last line", last[:54], "error: the runner or its job server no longer answers ")
    check("a traceback", "Traceback" in service.log.read_text(), False)
    check("what is in the output", list(output.iterdir()), [])


def _prism_of(service: Service) -> int:
    """The process of Prism that a pipeline has started."""
    for pid in descendants(service.process.pid):
        if b"--job_port" in Path(f"/proc/{pid}/cmdline").read_bytes():
            return pid
    raise DataError(f"no Prism runs: see {service.log}")

"""A worker process of Beam that is killed, for which Beam itself would wait for ever."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from charseq.process.processes import descendants
from pipeline.sample import main as write_sample
from tests.support.paths import ROOT

pytestmark = pytest.mark.crash


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_lost_worker_ends_the_preparation(tmp_path: Path, number: signal.Signals) -> None:
    sample = tmp_path / "sample.csv"
    write_sample(["--rows", "20000", "--output", str(sample)])
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "pipeline", "--input", str(sample)),
            *("--output", str(tmp_path / "data"), "--direct_running_mode=multi_processing"),
            "--direct_num_workers=2",
        ],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.kill(wait_for_worker(process.pid), number)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "Traceback" not in said
    assert "error: a worker process of Beam has ended" in said.splitlines()[-1]


def wait_for_worker(pid: int) -> int:
    """Return the id of a worker once the process `pid` has two."""
    while True:
        time.sleep(0.2)
        workers = [each for each in descendants(pid) if is_worker(each)]
        if len(workers) == 2:
            return workers[0]


def is_worker(pid: int) -> bool:
    words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return b"apache_beam.runners.worker.sdk_worker_main" in words

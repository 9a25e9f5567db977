"""python -m tests.crash: kill the preparation at random moments, and check what it leaves.

Every other time it is killed while it replaces a dataset. Whatever the moment, a directory with a
dataset.json must hold a complete dataset, and the same command, run again, must end with the same
fingerprint.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from charseq.errors import DataError
from pipeline.sample import main as write_sample
from pipeline.verify import verify


def main() -> int:
    """Kill `--times` preparations; return 1 at the first promise that is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as folder:
        sample, output = Path(folder, "sample.csv"), Path(folder, "prepared")
        write_sample(["--rows", str(args.rows), "--output", str(sample)])
        started = time.monotonic()
        start(sample, output).wait()
        seconds = time.monotonic() - started
        expected = read_fingerprint(output)
        print(f"a whole run takes {seconds:.1f} s, fingerprint {expected}")
        for number in range(1, args.times + 1):
            replace = number % 2 == 0
            if not replace:
                shutil.rmtree(output)
            moment = rng.uniform(0.3, 1.0) * seconds
            outcome = kill_once(sample, output, moment, replace)
            start(sample, output, "--overwrite").wait()
            fingerprint = read_fingerprint(output)
            print(
                f"{number}: killed after {moment:.1f} s: {outcome}; then {fingerprint}", flush=True
            )
            if outcome == "BROKEN" or fingerprint != expected:
                return 1
    print(f"{args.times} passed, 0 failed")
    return 0


def start(sample: Path, output: Path, *flags: str) -> subprocess.Popen[bytes]:
    """Start a preparation in a process group of its own."""
    command = [sys.executable, "-m", "pipeline", "--input", str(sample), "--output", str(output)]
    return subprocess.Popen(
        [*command, "--num-shards", "8", *flags],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def kill_once(sample: Path, output: Path, moment: float, replace: bool) -> str:
    """Kill a preparation after `moment` seconds, and describe what its output holds then."""
    process = start(sample, output, *(["--overwrite"] if replace else []))
    try:
        process.wait(moment)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if not (output / "dataset.json").exists():
        return "no dataset.json"
    try:
        verify(str(output))
    except DataError as error:
        print(error)
        return "BROKEN"
    return "a complete dataset"


def read_fingerprint(output: Path) -> str:
    """Return the first 16 digits of a dataset's fingerprint."""
    return str(json.loads((output / "dataset.json").read_text())["fingerprint"])[:16]


if __name__ == "__main__":
    sys.exit(main())

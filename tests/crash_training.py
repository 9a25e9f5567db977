"""python -m tests.crash_training: kill a training at random steps, and see how it ends.

One run is left alone; another is killed again and again (SIGKILL) and started again each time. Both
must end with the same weights, bit by bit.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

STRATEGIES = {
    "none": ("--strategy", "none"),
    "mirrored": ("--strategy", "mirrored", "--devices", "CPU:0,CPU:1"),
}
# Saved at every return to Python, so that a kill falls anywhere between two checkpoints.
FLAGS = ("--epochs", "3", "--batch-size", "128", "--checkpoint-every", "1")


def main() -> int:
    """Kill as many times as asked under each strategy; return 1 where the weights differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--rows", type=int, default=150_000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder), args.rows)
        for name, flags in STRATEGIES.items():
            runs = [Path(folder, f"{name}-{kind}") for kind in ("whole", "killed")]
            start(runs[0], flags).wait()
            killed_at = [kill_once(runs[1], flags, rng) for _ in range(args.times)]
            print(f"{name}: killed after the checkpoints at steps {killed_at}")
            start(runs[1], flags).wait()
            same = all(map(np.array_equal, *map(last_variables, runs)))
            failed += not same
            print(f"{name}: {'the same bits' if same else 'OTHER WEIGHTS'}", flush=True)
    print(f"{len(STRATEGIES) - failed} passed, {failed} failed")
    return 1 if failed else 0


def prepare(folder: Path, rows: int) -> None:
    """A dataset at `folder`/data."""
    sample = folder / "sample.csv"
    for command in (
        ["pipeline.sample", "--rows", str(rows), "--output", str(sample)],
        ["pipeline", "--input", str(sample), "--output", str(folder / "data")],
    ):
        subprocess.run([sys.executable, "-m", *command], check=True, capture_output=True)


def start(run: Path, flags: tuple[str, ...]) -> subprocess.Popen[bytes]:
    """The training as a process group of its own."""
    return subprocess.Popen(
        [*(sys.executable, "-m", "trainer", "--data", str(run.parent / "data")),
         *("--output", str(run)), *FLAGS, *flags],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip


def kill_once(run: Path, flags: tuple[str, ...], rng: random.Random) -> int:
    """Kill a run up to half a second after its first new checkpoint; the step of the last one then.

    Raises:
        RuntimeError: it ended before it could be killed: there were too few rows.
    """
    before = last_step(run)
    process = start(run, flags)
    while last_step(run) == before:
        if process.poll() is not None:
            raise RuntimeError(f"{run} ended after step {before}: give it more --rows")
        time.sleep(0.01)
    time.sleep(rng.uniform(0, 0.5))
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return last_step(run)


def last_step(run: Path) -> int:
    """The step of the newest checkpoint; 0 if there is none."""
    names = [path.stem for path in (run / "checkpoints").glob("step-*.npz")]
    return int(max(names).removeprefix("step-")) if names else 0


def last_variables(run: Path) -> list[np.ndarray]:
    """Every variable of the model and the optimizer at the end of a complete run."""
    if not (run / "run.json").exists():
        raise RuntimeError(f"{run} did not end")
    with np.load(max((run / "checkpoints").glob("step-*.npz"))) as archive:
        return [archive[name] for name in archive.files if name != "position"]


if __name__ == "__main__":
    sys.exit(main())

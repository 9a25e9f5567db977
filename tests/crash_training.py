"""python -m tests.crash_training: kill a training at random steps, and check how it ends.

One run is left alone; another is killed (SIGKILL) and started again several times. Both must end
with the same weights, bit by bit. Of several workers only one is killed, and the others must end
by themselves within a minute, with status 75. The last time, the worker is stopped instead
(SIGSTOP), as one that hangs, and must end by itself when it goes on. In the case `elastic` each
run has another number of workers than the one before.
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

import numpy as np

from deploy.support.workers import start_workers


class Case(NamedTuple):
    """How a training is started: its flags, and the workers of its runs, one after another."""

    flags: tuple[str, ...]
    workers: tuple[int, ...] = (1,)


CASES = {
    "none": Case(("--strategy", "none")),
    "mirrored": Case(("--strategy", "mirrored", "--devices", "CPU:0,CPU:1")),
    "multi_worker": Case(("--strategy", "multi_worker"), (2,)),
    # Of two parts of a batch, three and four workers leave some without any.
    "elastic": Case(("--strategy", "auto"), (1, 3, 2, 4)),
}
# Twice what docs/training.md promises, for a machine that does other work, too.
_SECONDS_TO_NOTICE = 60
_WORKER_LOST = 75
# Saved at every return to Python, so that a kill falls anywhere between two checkpoints.
FLAGS = ("--epochs", "3", "--batch-size", "128", "--checkpoint-every", "1")
# So that the checkpoints are small.
NGRAM_FLAGS = ("--ngram-buckets", "16384")


def main() -> int:
    """Kill `--times` times under each strategy; return 1 if the weights differ under one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--rows", type=int, default=150_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--representation", default="ngrams", help="as of python -m trainer")
    args = parser.parse_args()
    rng = random.Random(args.seed)
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder), args.rows)
        for name in args.only:
            case = CASES[name]
            flags = [*case.flags, "--representation", args.representation]
            if args.representation == "ngrams":
                flags += NGRAM_FLAGS
            workers = cycle(case.workers)
            whole, killed = (Path(folder, f"{name}-{kind}") for kind in ("whole", "killed"))
            finish(start(whole, flags, case.workers[0]))
            signals = [signal.SIGKILL] * args.times
            if max(case.workers) > 1:
                signals[-1] = signal.SIGSTOP
            interrupted = [interrupt(killed, flags, next(workers), rng, each) for each in signals]
            print(f"{name}: interrupted {', '.join(map(str, interrupted))}", flush=True)
            finish(start(killed, flags, next(workers)))
            # The first run of all is on one device: no number of replicas changes a bit.
            first = Path(folder, f"{args.only[0]}-whole")
            same = [are_equal(whole, other) for other in (killed, first)]
            failed += not all(same)
            print(
                f"{name}: {'the same bits' if same[0] else 'OTHER WEIGHTS'}; as "
                f"{args.only[0]}: {'the same bits' if same[1] else 'OTHER WEIGHTS'}",
                flush=True,
            )
    print(f"{len(args.only) - failed} passed, {failed} failed")
    return 1 if failed else 0


def prepare(folder: Path, rows: int) -> None:
    """Write a dataset of `rows` rows at `folder`/data."""
    sample = folder / "sample.csv"
    for command in (
        ["pipeline.sample", "--rows", str(rows), "--output", str(sample)],
        ["pipeline", "--input", str(sample), "--output", str(folder / "data")],
    ):
        subprocess.run([sys.executable, "-m", *command], check=True, capture_output=True)


def start(run: Path, flags: Sequence[str], workers: int) -> list[subprocess.Popen[bytes]]:
    """Start the processes of a training with these flags."""
    paths = ("--data", str(run.parent / "data"), "--output", str(run))
    return start_workers([sys.executable, "-m", "trainer", *paths, *FLAGS, *flags], workers)


def finish(processes: list[subprocess.Popen[bytes]]) -> None:
    """Wait for all processes.

    Raises:
        RuntimeError: one of them failed.
    """
    statuses = [process.wait() for process in processes]
    if any(statuses):
        raise RuntimeError(f"a training ended with {statuses}")


class Interruption(NamedTuple):
    """How a training was interrupted: after which checkpoint, and how long the others went on."""

    step: int
    seconds: float

    def __str__(self) -> str:
        """Say both, as in `at step 128 (0.4 s)`."""
        return f"at step {self.step} ({self.seconds:.1f} s)"


def interrupt(
    run: Path, flags: Sequence[str], workers: int, rng: random.Random, number: signal.Signals
) -> Interruption:
    """Send one process a signal within half a second after its first new checkpoint.

    The others must end by themselves, and so must one that was stopped, when it goes on.

    Raises:
        RuntimeError: the training ended first, as there were too few rows, or a worker did not end,
            or with another status than that of a lost worker.
    """
    before = last_step(run)
    processes = start(run, flags, workers)
    while last_step(run) == before:
        if any(process.poll() is not None for process in processes):
            raise RuntimeError(f"{run} ended after step {before}: give it more --rows")
        time.sleep(0.01)
    time.sleep(rng.uniform(0, 0.5))
    lost = rng.choice(processes)
    # Alone, a process that is stopped has nobody to miss it.
    lost.send_signal(number if workers > 1 else signal.SIGKILL)
    sent = time.monotonic()
    others = [process for process in processes if process is not lost]
    statuses = [process.wait(_SECONDS_TO_NOTICE) for process in others]
    seconds = time.monotonic() - sent
    lost.send_signal(signal.SIGCONT)
    lost_status = lost.wait(_SECONDS_TO_NOTICE)
    if not {*statuses, lost_status} <= {_WORKER_LOST, -signal.SIGKILL}:
        raise RuntimeError(
            f"{run}: the workers ended with {statuses}, the lost one with {lost_status}"
        )
    return Interruption(last_step(run), seconds)


def last_step(run: Path) -> int:
    """Return the step of the newest checkpoint; 0 if there is none."""
    names = [path.stem for path in (run / "checkpoints").glob("step-*.npz")]
    return int(max(names).removeprefix("step-")) if names else 0


def are_equal(run: Path, other: Path) -> bool:
    """Return whether two complete runs ended with the same bits."""
    return all(map(np.array_equal, last_variables(run), last_variables(other)))


def last_variables(run: Path) -> list[np.ndarray]:
    """Return every variable of the model and the optimizer at the end of a complete run.

    Raises:
        RuntimeError: the run is not complete.
    """
    if not (run / "run.json").exists():
        raise RuntimeError(f"{run} did not end")
    with np.load(max((run / "checkpoints").glob("step-*.npz"))) as archive:
        return [archive[name] for name in archive.files if name != "state"]


if __name__ == "__main__":
    sys.exit(main())

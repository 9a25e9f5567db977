"""python -m tests.signals: send each command SIGINT and SIGTERM at random moments.

From the first line of the command on, SIGINT must end it with status 130 and SIGTERM with 143, with
one line on standard error and no traceback; and soon.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# A command ends itself after 10 s, and a training first saves what it has done.
SECONDS_TO_END = 30.0
LAST_LINES = {
    signal.SIGINT: ("interrupted",),
    signal.SIGTERM: ("terminated", "SIGTERM: saved after step"),
}
TRACES = ("Traceback (most recent call last)", "Exception ignored", "Fatal Python error")


@dataclass(frozen=True)
class Command:
    """A command that can be repeated once `output` is removed; None: it writes nothing."""

    name: str
    args: tuple[str, ...]
    output: Path | None = None

    def start(self, folder: Path) -> subprocess.Popen[bytes]:
        """Start it; its standard error goes to `folder`."""
        if self.output is not None:
            shutil.rmtree(self.output, ignore_errors=True)
        with open(folder / "stderr", "wb") as stderr:
            return subprocess.Popen(
                [sys.executable, "-m", *self.args], stdout=subprocess.DEVNULL, stderr=stderr
            )


def main() -> int:
    """Send `--times` signals to each command; return 1 if one does not end as it must."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=50)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", metavar="COMMAND", help="send signals to these only")
    args = parser.parse_args()
    # A shell lets its background jobs ignore SIGINT, and so would the commands.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for command in prepare_commands(Path(folder), args.rows):
            if args.only is None or command.name in args.only:
                failed += send_signals(command, Path(folder), args.times, args.seed)
            else:
                run_to_its_end(command, Path(folder))
    return 1 if failed else 0


def prepare_commands(folder: Path, rows: int) -> Iterator[Command]:
    """Yield the commands in an order in which each finds what those before it wrote."""
    sample, dataset, run = (folder / name for name in ("sample.csv", "dataset", "run"))
    write_sample = ("pipeline.sample", "--rows", str(rows), "--output", str(sample))
    subprocess.run([sys.executable, "-m", *write_sample], check=True, stdout=subprocess.DEVNULL)
    prepare = ("pipeline", "--input", str(sample), "--num-shards", "4", "--output")
    train = (
        "trainer",
        "--data",
        str(dataset),
        "--representation",
        "embedding",
        "--units",
        "8",
        "--batch-size",
        "128",
    )
    yield Command("prepare", (*prepare, str(dataset)), dataset)
    yield Command("inspect", ("pipeline.inspect", str(dataset), "--verify"))
    yield Command("train", (*train, "--epochs", "3", "--output", str(run)), run)
    yield Command("evaluate", ("trainer.evaluate", "--model", str(run), "--data", str(dataset)))
    yield Command("ask", ("charseq.ask", "--model", str(run), "ACDEF", "GHIKL"))
    registry, predicted = folder / "registry", folder / "predicted"
    promote = ("trainer.promote", "--registry", str(registry), "--candidate", str(run))
    yield Command("promote", promote, registry)
    predict = ("pipeline.predict", "--model", str(run / "saved_model"), "--input", str(sample))
    yield Command("predict", (*predict, "--output", str(predicted)), predicted)


def send_signals(command: Command, folder: Path, times: int, seed: int) -> int:
    """Send a command `times` signals, and let it end once more; return how many went wrong."""
    rng = random.Random(seed)
    seconds = run_to_its_end(command, folder)
    wrong: list[str] = []
    slowest = 0.0
    for number in range(times):
        problem, waited = None, None
        which = signal.SIGTERM if number % 2 else signal.SIGINT
        while waited is None:
            moment = rng.uniform(0, seconds)
            problem, waited = send_once(command, folder, which, moment)
            if waited is None:  # It ended before: the machine is less busy than it was.
                seconds = moment
        slowest = max(slowest, waited)
        if problem is not None:
            wrong.append(problem)
            print(f"{command.name} {number}: {problem}", flush=True)
    print(
        f"{command.name}: {times} signals within {seconds:.1f} s, {len(wrong)} wrong; "
        f"the slowest end took {slowest:.1f} s",
        flush=True,
    )
    run_to_its_end(command, folder)
    return len(wrong)


def run_to_its_end(command: Command, folder: Path) -> float:
    """Let a command do its work; return the seconds from its first line on."""
    process = command.start(folder)
    wait_for_first_line(process.pid)
    started = time.monotonic()
    status = process.wait()
    if status:
        raise SystemExit(f"{command.name}: status {status}: {(folder / 'stderr').read_text()}")
    return time.monotonic() - started


def send_once(
    command: Command, folder: Path, number: signal.Signals, moment: float
) -> tuple[str | None, float | None]:
    """Send a signal `moment` seconds after the first line of a command.

    Returns:
        What went wrong, if anything, and the seconds that its end took; None: it ended before.
    """
    process = command.start(folder)
    wait_for_first_line(process.pid)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(moment)
    if process.returncode is not None or not handles(process.pid, number):
        process.wait()
        return None, None
    process.send_signal(number)
    sent = time.monotonic()
    try:
        status = process.wait(SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        process.kill()
        status = process.wait()
    waited = time.monotonic() - sent
    said = (folder / "stderr").read_text(errors="backslashreplace")
    return describe_end(status, number, said, moment), waited


def describe_end(status: int, number: signal.Signals, said: str, moment: float) -> str | None:
    """Return what is wrong with the end of a command that got a signal; None if nothing is."""
    lines = said.splitlines() or [""]
    where = f"{number.name} after {moment:.2f} s"
    if status != 128 + number:
        return f"{where}: status {status}, {lines[-1][:200]}"
    if any(trace in said for trace in TRACES) or not lines[-1].startswith(LAST_LINES[number]):
        return f"{where}: it says {said[-1000:]}"
    return None


def wait_for_first_line(pid: int) -> None:
    """Wait until a process has a handler for SIGTERM, which Python by itself has not."""
    while not handles(pid, signal.SIGTERM) and _state(pid) != "Z":
        time.sleep(0.002)


def handles(pid: int, number: signal.Signals) -> bool:
    """Return whether a process has a handler for a signal."""
    caught = int(_status(pid, "SigCgt"), 16)
    return bool(caught >> (number - 1) & 1)


def _state(pid: int) -> str:
    return _status(pid, "State")[0]


def _status(pid: int, key: str) -> str:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return line.partition(":")[2].strip()
    raise KeyError(key)


if __name__ == "__main__":
    sys.exit(main())

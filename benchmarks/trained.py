"""Models that are trained on the rows of a task with the defaults, seed 1."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.measure import run_measured
from benchmarks.quality.datasets import AUTO
from benchmarks.quality.rows import Row, hash_bucket, read_rows, write_rows
from benchmarks.quality.tasks import SEEDS, TASKS
from charseq.errors import DataError

MOST_TRAIN_ROWS = 100_000


def train_on(
    name: str,
    fold: int,
    root: Path,
    scratch: Path,
    *,
    flags: Sequence[str] = (),
    keep: Callable[[Row], bool] = lambda _: True,
) -> Path:
    """Train on the first rows of a fold of a task, by a hash; return the run.

    Args:
        name: of the task.
        fold: of it.
        root: the directory of `benchmarks.quality fetch`.
        scratch: where the dataset and the run are written.
        flags: of the training.
        keep: which rows to train on.

    Raises:
        DataError: the rows were not fetched.
    """
    source = TASKS[name].directory(root, fold) / "train.tsv"
    if not source.exists():
        raise DataError(f"{source}: not there; run python -m benchmarks.quality fetch {root} first")
    rows, dataset, run = scratch / "rows.tsv", scratch / "dataset", scratch / "run"
    write_rows(rows, [row for row in first_by_hash(source, MOST_TRAIN_ROWS) if keep(row)])
    _run("pipeline", f"--input={rows}", f"--output={dataset}", *AUTO)
    _run("trainer", f"--data={dataset}", f"--output={run}", f"--seed={SEEDS[0]}", *flags)
    return run


def first_by_hash(path: Path, count: int) -> list[Row]:
    """Return the first rows of a file in the order of a hash."""
    rows = read_rows(path)
    rows.sort(key=lambda row: (hash_bucket(row.sequence, 1 << 60), row))
    return rows[:count]


def _run(module: str, *flags: str) -> None:
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    run_measured([sys.executable, "-m", module, *flags], environment)

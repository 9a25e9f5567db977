"""The systems that are compared: each trains on a prepared unit and predicts its test rows."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.measure import run_measured
from benchmarks.quality.datasets import Prepared
from benchmarks.quality.fetch import peers_python
from benchmarks.quality.results import NO_TIME, Key, Result, Seconds
from benchmarks.quality.rows import read_rows, score
from benchmarks.quality.tasks import SEEDS
from charseq.errors import DataError
from charseq.process.machine import cpu_count

_ENVIRONMENT = {"TF_CPP_MIN_LOG_LEVEL": "3"}
_FIRST_ROW = 2  # in predictions of a file with a header
_LONGER = 10  # times as many epochs
# What all runs share, or is of a place.
_NO_CHOICE = ("data", "output", "seed", "overwrite", "resume", "keep", "trust_model")


class Job(NamedTuple):
    """A training to be measured.

    known: all results so far. root: with the peers' environment.
    """

    key: Key
    unit: Prepared
    root: Path
    known: Mapping[Key, Result]


@dataclass(frozen=True)
class System:
    """name: in results and tables. seeds: that make a difference."""

    name: str
    run: Callable[[Job], Result]
    seeds: Sequence[int] = SEEDS


def _make_result(
    job: Job,
    predicted: Sequence[str],
    *,
    start: Seconds = NO_TIME,
    tuning: Seconds = NO_TIME,
    training: Seconds = NO_TIME,
    prediction: Seconds = NO_TIME,
    options: Mapping[str, Any],
    rate: float | None = None,
) -> Result:
    truth = [row.label for row in read_rows(job.unit.test)]
    accuracy, macro_f1 = score(truth, predicted)
    rows = len(read_rows(job.unit.train))
    return Result(
        job.key,
        accuracy,
        macro_f1,
        rows,
        len(truth),
        start,
        tuning,
        training,
        prediction,
        options,
        rate,
        round(os.getloadavg()[0], 1),
    )


def run_charseq(job: Job, flags: Sequence[str] = ()) -> Result:
    """Train with `python -m trainer` and these flags, predict with `python -m pipeline.predict`."""
    with tempfile.TemporaryDirectory(prefix="charseq-benchmark-") as name:
        directory = Path(name)
        run, predictions = directory / "run", directory / "predictions"
        train = [f"--data={job.unit.dataset}", f"--output={run}", f"--seed={job.key.seed}", *flags]
        training = _run_module("trainer", train)
        predict = [f"--model={run / 'saved_model'}", f"--input={job.unit.test}"]
        prediction = _run_module("pipeline.predict", [*predict, f"--output={predictions}"])
        options = json.loads((run / "run.json").read_text(encoding="utf-8"))["options"]
        metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
        predicted = read_predictions(predictions, len(read_rows(job.unit.test)))
    start = import_seconds("trainer.training.train")
    return _make_result(
        job,
        predicted,
        start=start,
        training=training - start,
        prediction=prediction - import_seconds("pipeline.predict.run"),
        options={name: value for name, value in options.items() if name not in _NO_CHOICE},
        rate=steady_rate(metrics["epochs"]),
    )


def _run_longer(job: Job) -> Result:
    """Train for ten times as many epochs as `charseq` chose by itself."""
    key = job.key._replace(system="charseq")
    if key not in job.known:
        raise DataError(f"{job.key.system}: no result of charseq to know the epochs from")
    return run_charseq(job, [f"--epochs={_LONGER * job.known[key].options['epochs']}"])


def read_predictions(directory: Path, rows: int) -> list[str]:
    """Return the label of each of `rows` rows, in their order; "" for one that was rejected."""
    labels = [""] * rows
    for path in sorted(directory.glob("predictions/*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            labels[row["row"] - _FIRST_ROW] = row["label"]
    return labels


def steady_rate(epochs: Sequence[Mapping[str, float]]) -> float | None:
    """Return sequences a second of the epochs after the first; None if there is only one."""
    later = epochs[1:]
    sequences = sum(epoch["seconds"] * epoch["sequences_per_second"] for epoch in later)
    return sequences / sum(epoch["seconds"] for epoch in later) if later else None


@cache
def import_seconds(module: str) -> Seconds:
    """Measure a process that only imports a module, as commands do, from the file cache."""
    lines = ("from charseq.cli import heavy_imports", "with heavy_imports():", f"  import {module}")
    command = [sys.executable, "-c", "\n".join(lines)]
    costs = [run_measured(command, {**os.environ, **_ENVIRONMENT}) for _ in range(2)]
    return Seconds(costs[1].wall, costs[1].cpu)


def _run_module(module: str, flags: Sequence[str], python: str = sys.executable) -> Seconds:
    # Nobody should pay for the writing back of what the run before left in the cache.
    os.sync()
    threads = {"OMP_NUM_THREADS": str(cpu_count())}
    environment = {**os.environ, **_ENVIRONMENT, **(threads if python != sys.executable else {})}
    cost = run_measured([python, "-m", module, *flags], environment)
    return Seconds(cost.wall, cost.cpu)


def _run_peer(job: Job, module: str, flags: Sequence[str]) -> Result:
    """Train and predict with a peer, in its own interpreter."""
    scratch = Path(tempfile.mkdtemp(prefix="charseq-benchmark-"))
    output = scratch / "result.json"
    splits = zip(("train", "validation", "test"), job.unit[1:], strict=True)
    arguments = [
        *(f"--{split}={path}" for split, path in splits),
        *(f"--output={output}", f"--seed={job.key.seed}", f"--threads={cpu_count()}", *flags),
    ]
    whole = _run_module(f"benchmarks.peers.{module}", arguments, peers_python(job.root))
    found = json.loads(output.read_text(encoding="utf-8"))
    shutil.rmtree(scratch)
    seconds = {phase: Seconds(**measured) for phase, measured in found["seconds"].items()}
    return _make_result(
        job,
        found["predicted"],
        start=whole - sum(seconds.values(), NO_TIME),
        tuning=seconds.get("tuning", NO_TIME),
        training=seconds["training"],
        prediction=seconds["prediction"],
        options=found["options"],
    )


def _peer(name: str, module: str, flags: Sequence[str], seeds: Sequence[int]) -> System:
    return System(name, lambda job: _run_peer(job, module, flags), seeds)


def _run_majority(job: Job) -> Result:
    rows = [*read_rows(job.unit.train), *read_rows(job.unit.validation)]
    label = Counter(row.label for row in rows).most_common(1)[0][0]
    return _make_result(job, [label] * len(read_rows(job.unit.test)), options={"label": label})


CHARSEQ = System("charseq", run_charseq)
LONGER = System("charseq, 10 × the epochs", _run_longer)
_FIRST_SEED = SEEDS[:1]
PEERS = (
    _peer("fastText default", "fasttext_ngrams", (), SEEDS),
    _peer("fastText tuned", "fasttext_ngrams", ("--tuned",), SEEDS),
    # Their optimum depends on no seed, or hardly.
    _peer("scikit-learn default", "sklearn_ngrams", (), _FIRST_SEED),
    _peer("scikit-learn tuned", "sklearn_ngrams", ("--tuned",), _FIRST_SEED),
)
MAJORITY = System("most frequent label", _run_majority, _FIRST_SEED)

"""How many test rows are like a train row, and what a model reaches, by the way to split."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.figures import table
from benchmarks.measure import run_measured
from benchmarks.quality.datasets import AUTO
from benchmarks.quality.results import add_line, read_lines
from benchmarks.quality.rows import hash_bucket, read_rows, write_rows
from benchmarks.quality.tasks import SEEDS, TASKS
from benchmarks.samples import make_sample
from charseq.errors import DataError
from charseq.html.formats import format_share
from pipeline.split_options import SplitOptions

IDENTITY = 0.8
_HASH, GROUP, _DROP = "by the hash", f"`--similar {IDENTITY}`", "`--similar-policy drop`"
# The flags of each way to split. A cluster of any size is prepared, so that what is refused
# without --max-cluster-share is measured too.
WAYS: Mapping[str, Sequence[str]] = {
    _HASH: (),
    GROUP: (f"--similar={IDENTITY}", "--max-cluster-share=1"),
    _DROP: (f"--similar={IDENTITY}", "--similar-policy=drop"),
}
_SAMPLE = "sample"
# Titles of the data sets: a task of benchmarks.quality, with the rows of all its splits, or a
# sample.
DATA: Mapping[str, str] = {
    **{name: TASKS[name].title for name in ("amp", "names", "ten")},
    _SAMPLE: "`pipeline.sample`",
}
_MOST_ROWS = 100_000
_SEED = SEEDS[0]
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3"}


@dataclass(frozen=True)
class Measured:
    """What came of a data set that was split in one way.

    data, way: of DATA and WAYS. train, test: rows. accuracy, ngrams: of the model and of the n-gram
    baseline on the test rows, 0 to 1. similar: of dataset.json; None where it has none.
    """

    data: str
    way: str
    train: int
    test: int
    accuracy: float
    ngrams: float
    similar: Mapping[str, Any] | None


def measure(root: Path, path: Path, names: Sequence[str]) -> list[Measured]:
    """Measure what the file `path` has no result of; return all results of these data sets."""
    results = {(one.data, one.way): one for one in _read_results(path)}
    for name in names:
        place = root / "work" / "similar" / name
        for way in WAYS:
            if (name, way) not in results:
                results[name, way] = _measure_one(name, way, _write_input(name, root, place))
                add_line(path, asdict(results[name, way]))
                print(f"{name}, {way}: measured", file=sys.stderr, flush=True)
    return [results[name, way] for name in names for way in WAYS]


def _read_results(path: Path) -> list[Measured]:
    return [Measured(**content) for content in read_lines(path)]


def _write_input(name: str, root: Path, place: Path) -> Path:
    """Write the rows to prepare into `place`; at most `_MOST_ROWS`, in the order of a hash.

    Raises:
        DataError: the rows were not fetched.
    """
    place.mkdir(parents=True, exist_ok=True)
    if name == _SAMPLE:
        return make_sample(place, _MOST_ROWS, "mixed").path
    source = TASKS[name].directory(root, 0)
    if not (source / "train.tsv").exists():
        raise DataError(
            f"{source}: no train.tsv; run python -m benchmarks.quality fetch {root} first"
        )
    rows = [row for split in ("train", "test") for row in read_rows(source / f"{split}.tsv")]
    rows.sort(key=lambda row: (hash_bucket(row.sequence, 1 << 60), row))
    write_rows(place / "rows.tsv", rows[:_MOST_ROWS])
    return place / "rows.tsv"


def _measure_one(name: str, way: str, rows: Path) -> Measured:
    """Prepare the rows, train on them and evaluate the model."""
    with tempfile.TemporaryDirectory(prefix="charseq-benchmark-") as scratch:
        dataset, run = Path(scratch, "dataset"), Path(scratch, "run")
        _run("pipeline", f"--input={rows}", f"--output={dataset}", *AUTO, *WAYS[way])
        _run("trainer", f"--data={dataset}", f"--output={run}", f"--seed={_SEED}")
        _run("trainer.evaluate", f"--data={dataset}", f"--model={run}", "--split=test")
        manifest = json.loads((dataset / "dataset.json").read_text(encoding="utf-8"))
        found = json.loads((run / "evaluation-test.json").read_text(encoding="utf-8"))
    return Measured(
        name,
        way,
        manifest["counts"]["train"],
        manifest["counts"]["test"],
        found["accuracy"],
        found["ngram_baseline"]["accuracy"],
        manifest.get("similar"),
    )


def _run(module: str, *flags: str) -> None:
    run_measured([sys.executable, "-m", module, *flags], {**os.environ, **QUIET})


def leak_table(results: Sequence[Measured]) -> str:
    """A line for each data set and way to split."""
    by_hash = {one.data: one.similar["leak_by_hash"] for one in results if one.similar}
    header = ["rows and split", "train", "test", "near a train row", "accuracy, %", "n-grams, %"]
    lines = []
    for one in results:
        leak = one.similar["leak"] if one.similar else by_hash[one.data]
        lines.append(
            [
                f"{DATA[one.data]}: {one.way}",
                f"{one.train:,}",
                f"{one.test:,}",
                f"{format_share(leak['near'], leak['sampled'])} of {leak['sampled']:,}",
                f"{one.accuracy:.1%}".rstrip("%"),
                f"{one.ngrams:.1%}".rstrip("%"),
            ]
        )
    return table(header, lines)


def cluster_lines(results: Sequence[Measured]) -> list[str]:
    """A sentence for each data set: what its sequences are linked to, and whether it is refused."""
    lines = []
    for one in results:
        if one.similar and "largest" in one.similar:
            largest, sequences = one.similar["largest"], one.similar["sequences"]
            is_refused = largest > SplitOptions.max_cluster_share * sequences
            lines.append(
                f"- {DATA[one.data]}: {one.similar['linked']:,} of {sequences:,} sequences are in "
                f"{one.similar['clusters']:,} clusters, the largest has "
                f"{format_share(largest, sequences)}"
                + (", refused without `--max-cluster-share 1`" if is_refused else "")
            )
    return lines

"""Compare what `python -m pipeline --plan` says with what then happens, on five inputs.

Prints Markdown. Usage: `python -m benchmarks.plan`.
"""

from __future__ import annotations

import argparse
import gzip
import json
import multiprocessing
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.figures import describe_machine, show_command, table
from benchmarks.samples import make_sample
from charseq.cli import exit_status
from charseq.errors import DataError, UsageError
from pipeline.estimate.forecast import Forecast
from pipeline.estimate.run import forecast
from pipeline.options import parse_command_line

Of = TypeVar("Of")
_PACKAGES = ("apache-beam", "tensorflow", "tensorflow-transform", "pyarrow")
_LETTERS = "etaoinshrdlucmfwypvbgkqjxz"
_LABELS = [f"label {number}" for number in range(10)]


class Took(NamedTuple):
    """What a preparation made and took.

    rows: of the input. bytes: of the shards and their indexes. seconds: by its summary.
    """

    rows: int
    bytes: int
    seconds: float


class Case(NamedTuple):
    """An input: what it is called, who writes it into a directory, and how it is prepared.

    rows: for each row that is asked for.
    """

    name: str
    write: Callable[[Path, int], Path]
    rows: float
    flags: tuple[str, ...] = ()


def _texts(rows: int, shortest: int, longest: int) -> list[str]:
    random = np.random.default_rng(0)
    ends = np.cumsum(random.integers(shortest, longest + 1, rows))
    # As in a language, a few letters make up most of a text.
    share = 1 / np.arange(1, len(_LETTERS) + 1)
    letters = random.choice(list(_LETTERS), ends[-1], p=share / share.sum())
    text = "".join(letters.tolist())
    return [text[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)]


def _labels(rows: int) -> list[str]:
    return [_LABELS[place] for place in np.random.default_rng(1).integers(0, 10, rows)]


def _write_sample(directory: Path, rows: int) -> Path:
    return make_sample(directory, rows, "mixed").path


def _write_words(directory: Path, rows: int) -> Path:
    path = directory / "words.csv.gz"
    with gzip.open(path, "wt", compresslevel=3, encoding="utf-8") as file:
        file.write("sequence,label\n")
        for text, label in zip(_texts(rows, 5, 15), _labels(rows), strict=True):
            file.write(f"{text},{label}\n")
    return path


def _write_parquet(directory: Path, rows: int) -> Path:
    path = directory / "long.parquet"
    columns = {"sequence": _texts(rows, 100, 300), "label": _labels(rows)}
    pq.write_table(pa.table(columns), path, row_group_size=50_000)
    return path


def _write_json(directory: Path, rows: int) -> Path:
    path = directory / "rows.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for text, label in zip(_texts(rows, 8, 40), _labels(rows), strict=True):
            file.write(json.dumps({"sequence": text, "label": label}) + "\n")
    return path


CASES = (
    Case("CSV of 5 to 44 characters", _write_sample, 5),
    Case("words, csv.gz", _write_words, 4, ("--alphabet-size", "auto")),
    Case("Parquet of 100 to 300", _write_parquet, 0.4, ("--max-length", "auto")),
    Case("JSON Lines of 8 to 40", _write_json, 1.5, ("--stratify",)),
    Case("CSV, to one_hot", _write_sample, 1, ("--encoding", "one_hot", "--compression", "gzip")),
)


def prepare(command: Sequence[str], output: Path) -> Took:
    """Prepare a dataset.

    Raises:
        DataError: it failed.
    """
    ended = subprocess.run(
        [sys.executable, "-m", "pipeline", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    found = re.match(r"([0-9,]+) rows read in ([0-9.]+) s", ended.stdout)
    if ended.returncode or not found:
        raise DataError(f"python -m pipeline {' '.join(command)}: failed")
    files = [*output.glob("*/*.tfrecord*"), *output.glob("index/**/*")]
    return Took(
        int(found[1].replace(",", "")),
        sum(path.stat().st_size for path in files if path.is_file()),
        float(found[2]),
    )


def plan(command: Sequence[str]) -> Forecast:
    """Return what `--plan` finds."""
    return forecast(*parse_command_line(command))


def alone(function: Callable[..., Of], *arguments: Any) -> Of:
    """Call a function in a new process, as commands are, and return its result."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        return pool.submit(function, *arguments).result()


def _measure(argv: Sequence[str] | None) -> None:
    arguments = _parser().parse_args(argv)
    if arguments.rows < 100_000:
        raise UsageError("--rows takes 100,000 or more")
    lines = []
    machine = describe_machine(_PACKAGES)
    with tempfile.TemporaryDirectory(prefix="charseq-benchmark-") as name:
        for number, case in enumerate(CASES):
            directory = Path(name, str(number))
            directory.mkdir()
            path = case.write(directory, round(arguments.rows * case.rows))
            output = directory / "out"
            command = ["--input", str(path), "--output", str(output), *case.flags]
            planned, took = alone(plan, command), prepare(command, output)
            lines.append(_line(case.name, planned, took))
            print(" | ".join(lines[-1]), file=sys.stderr)
    print(f"`{show_command('benchmarks.plan', argv)}`.\n{machine}\n")
    print(table(["planned, and what then happened", "rows", "MB", "seconds"], lines))


def _line(name: str, planned: Forecast, took: Took) -> list[str]:
    pairs = (
        (planned.rows, took.rows, 1.0),
        (planned.dataset_bytes, took.bytes, 1e6),
        (planned.seconds, took.seconds, 1.0),
    )
    return [
        name,
        *(
            f"{expected / unit:,.0f}, {found / unit:,.0f} ({expected / found - 1:+.0%})"
            for expected, found, unit in pairs
        ),
    ]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.plan",
        description="Compare plans of preparations with what then happens.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--rows",
        type=int,
        default=1_000_000,
        metavar="N",
        help="rows of the last input; others have 0.4 to 5 times as many (default: %(default)s)",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Do as the command line says; return the exit status."""
    return exit_status(lambda: _measure(argv))


if __name__ == "__main__":
    sys.exit(main())

"""Command line, rows and metrics file that the training peers share.

Uses the standard library only: PyTorch's interpreter has neither TensorFlow nor this project.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

UNITS = (32, 32, 32)
EMBEDDING_DIM = 16
LEARNING_RATE = 0.01


class Epoch(NamedTuple):
    """seconds: of its training alone; accuracy: 0 to 1, on the validation rows at its end."""

    seconds: float
    accuracy: float


class Rows(NamedTuple):
    """Two columns of a CSV file."""

    sequences: list[str]
    labels: list[str]


def training_parser(description: str | None, batch_size: int) -> argparse.ArgumentParser:
    """A parser with the flags that every such peer takes."""
    parser = argparse.ArgumentParser(description=description, allow_abbrev=False)
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="written into")
    parser.add_argument("--epochs", type=int, required=True, metavar="N")
    parser.add_argument("--batch-size", type=int, default=batch_size, metavar="N")
    return parser


def add_csv(parser: argparse.ArgumentParser) -> None:
    """Add the flags of the peers that read CSV files with the columns sequence and label."""
    parser.add_argument("--train", type=Path, required=True, metavar="CSV")
    parser.add_argument("--validation", type=Path, required=True, metavar="CSV")


def read_csv(path: Path) -> Rows:
    """All rows of a CSV file with a header."""
    with path.open(encoding="utf-8", newline="") as file:
        lines = list(csv.reader(file))[1:]
    return Rows([line[0] for line in lines], [line[1] for line in lines])


def write_metrics(output: Path, rows: int, epochs: Sequence[Epoch]) -> None:
    """Write `metrics.json` into a directory, in the form of `python -m trainer`.

    rows: of the train split.
    """
    output.mkdir(parents=True, exist_ok=True)
    content = [
        {
            "number": number,
            "seconds": epoch.seconds,
            "sequences_per_second": rows / epoch.seconds,
            "validation": {"accuracy": epoch.accuracy},
        }
        for number, epoch in enumerate(epochs, start=1)
    ]
    (output / "metrics.json").write_text(json.dumps({"epochs": content}) + "\n", encoding="utf-8")

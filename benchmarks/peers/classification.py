"""The frame of the peers that classify: rows in, predictions, times and settings out.

Uses the standard library only: the peers' interpreter has neither TensorFlow nor this project.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.quality.rows import Row, read_rows, score

Settings = Mapping[str, Any]
# Sequences to labels.
Predict = Callable[[Sequence[str]], list[str]]


@dataclass(frozen=True)
class Peer:
    """A way to classify.

    default: settings for such rows. grid: settings to choose from for such rows. fit: train on rows
    with settings, a seed and a number of threads.
    """

    default: Callable[[Sequence[Row]], Settings]
    grid: Callable[[Sequence[Row]], Sequence[Settings]]
    fit: Callable[[Sequence[Row], Settings, int, int], Predict]


@dataclass
class Stopwatch:
    """Seconds of each phase; cpu: of all threads."""

    phases: dict[str, dict[str, float]] = field(default_factory=dict)

    @contextmanager
    def time(self, phase: str) -> Iterator[None]:
        """Measure the block."""
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.phases[phase] = {
            "wall": time.perf_counter() - wall,
            "cpu": time.process_time() - cpu,
        }


def choose_settings(
    peer: Peer, train: Sequence[Row], validation: Sequence[Row], seed: int, threads: int
) -> Settings:
    """Return the settings of the grid with the best accuracy on the validation rows."""
    sequences, labels = zip(*validation, strict=True)

    def accuracy(settings: Settings) -> float:
        predict = peer.fit(train, settings, seed, threads)
        return score(labels, predict(sequences))[0]

    return max(peer.grid([*train, *validation]), key=accuracy)


def run(peer: Peer, argv: Sequence[str] | None, description: str | None) -> int:
    """Train on all rows, with the default settings or the best of the grid, and predict."""
    given = _parser(description).parse_args(argv)
    train, validation, test = map(read_rows, (given.train, given.validation, given.test))
    every, watch = [*train, *validation], Stopwatch()
    settings = peer.default(every)
    if given.tuned:
        with watch.time("tuning"):
            settings = choose_settings(peer, train, validation, given.seed, given.threads)
    with watch.time("training"):
        predict = peer.fit(every, settings, given.seed, given.threads)
    with watch.time("prediction"):
        predicted = predict([row.sequence for row in test])
    content = {"options": dict(settings), "seconds": watch.phases, "predicted": predicted}
    given.output.write_text(json.dumps(content) + "\n", encoding="utf-8")
    return 0


def _parser(description: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description, allow_abbrev=False)
    for name in ("train", "validation", "test"):
        parser.add_argument(f"--{name}", type=Path, required=True, metavar="TSV")
    parser.add_argument("--output", type=Path, required=True, metavar="JSON", help="written")
    parser.add_argument("--seed", type=int, required=True, metavar="N")
    parser.add_argument("--threads", type=int, required=True, metavar="N")
    parser.add_argument(
        "--tuned",
        action="store_true",
        help="choose settings on the validation rows, then train on these, too",
    )
    return parser


def mean_length(rows: Sequence[Row]) -> float:
    """Characters of a sequence, on average."""
    return sum(len(row.sequence) for row in rows) / len(rows)

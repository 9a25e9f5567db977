"""Write the samples of the benchmarks: rows of `python -m pipeline.sample`, or of chosen lengths.

All rows are drawn from the same Markov chains, so that their labels can be learned.
"""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pipeline.options import DEFAULT_MAX_LENGTH
from pipeline.sample import MAX_LENGTH, MIN_LENGTH, Rows, draw_chains, draw_rows, encode_csv

# The shortest and the longest; in between, all lengths are equally frequent. Short ones have 10
# characters on average, full ones fill every position of a record.
LENGTHS = {
    "mixed": (MIN_LENGTH, MAX_LENGTH),
    "full": (DEFAULT_MAX_LENGTH, MAX_LENGTH),
    "short": (MIN_LENGTH, 15),
}
_SEED = 0


class Sample(NamedTuple):
    """A CSV file, and how many rows it has."""

    path: Path
    rows: int


def make_samples(directory: Path, rows: int, lengths: str) -> tuple[Sample, Sample]:
    """Write a sample of `rows` rows, and its first tenth; the tenth comes first."""
    whole, small = make_sample(directory, rows, lengths), directory / "tenth.csv"
    with whole.path.open("rb") as source, small.open("wb") as target:
        target.writelines(islice(source, 1 + rows // 10))
    return Sample(small, rows // 10), whole


def make_sample(directory: Path, rows: int, lengths: str) -> Sample:
    """Write a sample of `rows` rows of these lengths, a name of LENGTHS."""
    path = directory / "whole.csv"
    _write_rows(path, rows, lengths)
    return Sample(path, rows)


def _write_rows(path: Path, rows: int, lengths: str) -> None:
    shortest, longest = LENGTHS[lengths]
    with path.open("wb") as file:
        file.write(b"sequence,label\n")
        for chunk in draw_rows(_SEED, draw_chains(_SEED), sys.maxsize):
            fits = (chunk.lengths >= shortest) & (chunk.lengths <= longest)
            chosen = np.flatnonzero(fits)[:rows]
            file.write(
                encode_csv(Rows(chunk.letters[chosen], chunk.lengths[chosen], chunk.labels[chosen]))
            )
            rows -= len(chosen)
            if not rows:
                return

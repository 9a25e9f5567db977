"""python -m pipeline.sample: labelled sequences of known difficulty, as CSV.

Each label has its own Markov chain over the letters, so the accuracy of the best possible
classifier on the written rows is computed from the chains and put beside them. The chains are made
so that order counts: how often each letter occurs, and no more, takes a classifier to 0.85 of it.

All draws are integers from PCG64's raw stream, which NumPy promises never to change, and each row
takes the same number of them: one seed gives the same bytes on any machine, in chunks of any size.
"""

from __future__ import annotations

from charseq.process.signals import watch_signals

if __name__ == "__main__":
    watch_signals()  # Before the other imports, which take a moment.

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.random import PCG64, SeedSequence
from numpy.typing import NDArray

from charseq.cli import exit_status
from charseq.errors import DataError
from charseq.flags import flag, make_parser, parse, require, validate
from pipeline.options import DEFAULT_MAX_LENGTH

ALPHABET = "ACDEFGHIKLMNPQRSTVWYBZXUO"
LABELS = ("amber", "birch", "coral", "dune", "ember", "fern", "grove", "heath")
MIN_LENGTH = 5
MAX_LENGTH = 40

# State 0 is the start, before the first letter; 1… are the letters in alphabet order.
_STATES = 1 + len(ALPHABET)
# How often, out of 256, the first choice follows, the second, … and the last. With these, eight
# labels and the lengths above, the best accuracy is 0.95 to 0.965 for every seed.
_SLOTS = (45, 27, 24, 21, 18, 16, 14, 12, 11, 9, 8, 7, 6, 6, 5, 4, 4, 3, 3, 3, 2, 2, 2, 2, 2)
# States of a group share their choices: 3 x 25 facts per label are learned from far fewer rows than
# 26 x 25, and still can't be read off the frequencies of the letters.
_GROUPS = 3

_CHAINS_STREAM, _ROWS_STREAM = 0, 1
# One draw of 64 bits for label and length, then 8 for each letter.
_DRAWS_PER_ROW = 1 + MAX_LENGTH // 8
_CHUNK_ROWS = 65_536
# Scores are sums of logarithms as integers, so that they too are the same on any machine.
_SCORE_UNIT = 2.0**-20


@dataclass(frozen=True)
class SampleOptions:
    """The sample to write.

    Raises:
        UsageError: a value is outside the limits of its flag.
    """

    rows: int = flag("number of rows", metavar="N", minimum=1)
    output: Path = flag("file to write or replace", metavar="FILE.csv", is_path=True)
    seed: int = flag("seed of the chains and the rows", default=0, metavar="N", minimum=0)

    def __post_init__(self) -> None:
        validate(self)
        is_csv = self.output.suffix == ".csv"
        require(is_csv, "--output", str(self.output), "a name ending in .csv")


class Rows(NamedTuple):
    """Rows as arrays; a letter is its place in the alphabet from 1, and 0 comes after the end."""

    letters: NDArray[np.uint8]  # (rows, MAX_LENGTH)
    lengths: NDArray[np.int64]  # (rows,), MIN_LENGTH to MAX_LENGTH
    labels: NDArray[np.int64]  # (rows,), place in LABELS from 0


def draw_chains(seed: int) -> NDArray[np.uint8]:
    """Return the chain of each label: (labels, states, 256) uint8, next letters by random byte."""
    shape = (len(LABELS), _GROUPS, len(ALPHABET))
    draws = _source(seed, _CHAINS_STREAM).random_raw(int(np.prod(shape))).reshape(shape)
    choices = np.argsort(draws, axis=-1, kind="stable").astype(np.uint8) + np.uint8(1)
    groups = np.arange(_STATES) % _GROUPS
    return np.repeat(choices, _SLOTS, axis=-1)[:, groups]


def count_slots(chains: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Count how many of the 256 bytes lead to each state: (labels, states, states) int64."""
    return np.stack([(chains == state).sum(axis=-1) for state in range(_STATES)], axis=-1)


def draw_rows(
    seed: int, chains: NDArray[np.uint8], rows: int, chunk_rows: int = _CHUNK_ROWS
) -> Iterator[Rows]:
    """Draw `rows` rows from the chains, `chunk_rows` at a time; labels and lengths are uniform."""
    source = _source(seed, _ROWS_STREAM)
    for start in range(0, rows, chunk_rows):
        chunk = min(chunk_rows, rows - start)
        draws = source.random_raw(chunk * _DRAWS_PER_ROW).reshape(chunk, _DRAWS_PER_ROW)
        rest, labels = np.divmod(draws[:, 0], len(LABELS))
        lengths = MIN_LENGTH + rest % (MAX_LENGTH - MIN_LENGTH + 1)
        letters = _walk(chains, labels, draws[:, 1:].astype("<u8").view(np.uint8))
        letters[np.arange(MAX_LENGTH) >= lengths[:, None]] = 0
        yield Rows(letters, lengths.astype(np.int64), labels.astype(np.int64))


def _source(seed: int, stream: int) -> PCG64:
    return PCG64(SeedSequence(seed, spawn_key=(stream,)))


def _walk(
    chains: NDArray[np.uint8], labels: NDArray[np.uint64], steps: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Follow each label's chain from the start: (rows, steps) random bytes to as many letters."""
    letters = np.empty_like(steps)
    state: NDArray[np.uint8] = np.zeros(len(steps), np.uint8)
    for position in range(steps.shape[1]):
        state = chains[labels, state, steps[:, position]]
        letters[:, position] = state
    return letters


def score_transitions(chains: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Return the log likelihood of transitions: (states, states, labels) int32, in 2**-20 bits.

    What leads to state 0, the end, scores 0, for length does not depend on the label.
    """
    slots = count_slots(chains).transpose(1, 2, 0)
    scores: NDArray[np.float64] = np.rint(np.log2(np.maximum(slots, 1)) / _SCORE_UNIT)
    return scores.astype(np.int32)


def classify(letters: NDArray[np.uint8], scores: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return the most probable label of each row, by Bayes' rule: (rows,) int64.

    Labels are equally frequent, so the largest likelihood decides; no classifier does better.
    """
    total = np.zeros((len(letters), scores.shape[-1]), np.int32)
    previous = np.zeros(len(letters), np.uint8)
    for current in letters.T:
        total += scores[previous, current]
        previous = current
    best: NDArray[np.int64] = total.argmax(axis=-1)
    return best


def encode_csv(rows: Rows) -> bytes:
    """Return the rows as lines `sequence,label`."""
    symbols = np.frombuffer(b"\0" + ALPHABET.encode(), np.uint8)
    fields = np.array([f",{label}\n".encode() for label in LABELS])
    endings = fields.view(np.uint8).reshape(len(LABELS), -1)
    # Shorter sequences and labels are filled up with zero bytes, which then go.
    lines = np.hstack([symbols[rows.letters], endings[rows.labels]])
    filled: NDArray[np.bool_] = lines != 0
    return lines[filled].tobytes()


class Accuracy:
    """The share of rows classified rightly, over all and by length after the cut."""

    def __init__(self, max_length: int) -> None:
        self._right = np.zeros(max_length + 1, np.int64)
        self._all = np.zeros(max_length + 1, np.int64)

    def add(self, lengths: NDArray[np.int64], right: NDArray[np.bool_]) -> None:
        """Count rows: their lengths (rows,) int64, and which are right, (rows,) bool."""
        cut = np.minimum(lengths, len(self._all) - 1)
        self._right += np.bincount(cut[right], minlength=len(self._all))
        self._all += np.bincount(cut, minlength=len(self._all))

    def overall(self) -> float:
        """Return the accuracy over all rows."""
        return float(self._right.sum() / self._all.sum())

    def by_length(self) -> dict[int, float]:
        """Return the accuracy of each length that occurs."""
        return {
            int(length): float(self._right[length] / self._all[length])
            for length in np.flatnonzero(self._all)
        }


def write_sample(path: Path, rows: int, seed: int) -> dict[str, object]:
    """Write the CSV file and, as JSON beside it, what is known of it; return the latter."""
    max_length = DEFAULT_MAX_LENGTH
    chains = draw_chains(seed)
    scores = score_transitions(chains)
    accuracy = Accuracy(max_length)
    with _replacing(path) as partial, partial.open("wb") as file:
        file.write(b"sequence,label\n")
        for chunk in draw_rows(seed, chains, rows):
            file.write(encode_csv(chunk))
            best = classify(chunk.letters[:, :max_length], scores)
            accuracy.add(chunk.lengths, best == chunk.labels)
        # Gone before the rows change, so that no numbers stand beside rows they are not about.
        path.with_suffix(".json").unlink(missing_ok=True)
    facts = {
        "rows": rows,
        "seed": seed,
        "labels": list(LABELS),
        "max_length": max_length,
        "best_possible_accuracy": accuracy.overall(),
        "best_possible_accuracy_by_length": accuracy.by_length(),
    }
    with _replacing(path.with_suffix(".json")) as partial:
        partial.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    return facts


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """Give a file to write to that takes the place of `path` once the block has ended well."""
    partial = path.with_name(path.name + ".partial")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Write a sample as the command line says; return the exit status."""
    return exit_status(lambda: _sample(argv))


def _sample(argv: Sequence[str] | None) -> None:
    options = parse_command_line(argv)
    path = options.output
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        facts = write_sample(path, options.rows, options.seed)
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror or error}") from error
    print(
        f"{path}: {options.rows:,} rows, {len(LABELS)} labels; the best possible accuracy is "
        f"{facts['best_possible_accuracy']:.4f} (see {path.with_suffix('.json')})"
    )


def parse_command_line(argv: Sequence[str] | None) -> SampleOptions:
    """Return the options of `python -m pipeline.sample`.

    Raises:
        UsageError, SystemExit: as `charseq.flags.parse`.
    """
    parser = make_parser(
        SampleOptions,
        prog="python -m pipeline.sample",
        description="Write labelled character sequences of known difficulty as CSV, and beside it "
        "as JSON the accuracy of the best possible classifier on them.",
    )
    return parse(SampleOptions, parser, argv)


if __name__ == "__main__":
    sys.exit(main())

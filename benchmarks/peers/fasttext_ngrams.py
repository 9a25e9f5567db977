"""Train fastText's classifier on n-grams of characters (Joulin et al. 2017).

A short sequence is one word, whose n-grams fastText takes with marks at both ends. Of a long one
each character is a word, and n-grams are of words: fastText hashes both.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import fasttext

from benchmarks.peers.classification import Peer, Predict, Settings, mean_length, run
from benchmarks.quality.rows import Row

_LABEL = "__label__"
_LONG = 30  # characters
_MANY = 100_000  # rows


def choose_default(rows: Sequence[Row]) -> Settings:
    """The settings of fastText itself, with n-grams: it takes none unless asked."""
    if mean_length(rows) > _LONG:
        return {"minn": 0, "maxn": 0, "wordNgrams": 3}
    return {"minn": 1, "maxn": 5, "wordNgrams": 1}


def make_grid(rows: Sequence[Row]) -> list[Settings]:
    """Settings around those that are usual for so many rows."""
    base = choose_default(rows)
    if len(rows) > _MANY:
        shapes = [{**base, "dim": 64, "epoch": epoch} for epoch in (5, 25)]
        return [{**shape, "lr": rate} for shape in shapes for rate in (0.2, 0.5)]
    longest = (3, 5) if base["wordNgrams"] > 1 else (1,)
    shapes = [
        {**base, "dim": 32, "wordNgrams": words, "epoch": epoch}
        for words in longest
        for epoch in (25, 100)
    ]
    return [{**shape, "lr": rate} for shape in shapes for rate in (0.5, 1.0)]


def fit(rows: Sequence[Row], settings: Settings, seed: int, threads: int) -> Predict:
    """Train; fastText reads from a file, which is written first."""
    are_words = settings["wordNgrams"] > 1

    def to_text(sequence: str) -> str:
        return " ".join(sequence) if are_words else sequence.replace(" ", "_")

    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "train.txt")
        lines = (f"{_LABEL}{row.label} {to_text(row.sequence)}\n" for row in rows)
        path.write_text("".join(lines), encoding="utf-8")
        model = fasttext.train_supervised(
            str(path), thread=threads, seed=seed, verbose=0, **settings
        )

    def predict(sequences: Sequence[str]) -> list[str]:
        # Not model.predict(), which fails with NumPy 2, but what it calls.
        found = [model.f.predict(f"{to_text(one)}\n", 1, 0.0, "strict") for one in sequences]
        # None for a sequence without a known n-gram.
        return [pairs[0][1].removeprefix(_LABEL) if pairs else "" for pairs in found]

    return predict


if __name__ == "__main__":
    sys.exit(run(Peer(choose_default, make_grid, fit), None, __doc__))

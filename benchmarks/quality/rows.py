"""Rows of a task: TSV files, and the hashes that order and split them.

Uses the standard library only: the peers' interpreter has neither TensorFlow nor this project.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

_HEADER = "sequence\tlabel"
_LONGEST_WORD = 60


class Row(NamedTuple):
    """A sequence and its label, neither of them empty, without tabs and line breaks."""

    sequence: str
    label: str


def hash_bucket(text: str, buckets: int, salt: str = "") -> int:
    """A number from 0 to buckets - 1 that depends on the text and the salt alone."""
    digest = hashlib.sha256(f"{salt}\0{text}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % buckets


def write_rows(path: Path, rows: Iterable[Row]) -> int:
    """Write each row once, in the order of a hash of its sequence; return their number."""
    ordered = sorted(set(rows), key=lambda row: (hash_bucket(row.sequence, 1 << 60), row))
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [_HEADER, *("\t".join(row) for row in ordered)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return len(ordered)


def read_rows(path: Path) -> list[Row]:
    """Return the rows of such a file, in its order."""
    lines = path.read_text(encoding="utf-8").split("\n")[1:-1]
    return [Row(*line.split("\t")) for line in lines]


def split_fold(rows: Iterable[Row], fold: int, folds: int) -> tuple[set[Row], set[Row]]:
    """Return the train and the test rows of a fold; equal sequences are on the same side."""
    every = set(rows)
    test = {row for row in every if hash_bucket(row.sequence, folds, "split") == fold}
    return every - test, test


def shuffle_words(words: Iterable[str]) -> list[str]:
    """Return each word once, in an order that has nothing to do with the alphabet."""
    return sorted(set(words), key=lambda word: hash_bucket(word, 1 << 60, "choice"))


def clean_word(text: str) -> str | None:
    """Return the word in lowercase and NFC; None if it is no single word of letters."""
    word = unicodedata.normalize("NFC", text).lower().strip()
    has_letters = any(unicodedata.category(character)[0] in "LM" for character in word)
    has_others = any(character.isdigit() or character.isspace() for character in word)
    return word if has_letters and not has_others and len(word) <= _LONGEST_WORD else None


def leave_out_shared(lists: Iterable[tuple[str, Sequence[str]]]) -> set[Row]:
    """Return the words of (label, words) pairs that are in one list only, with its label."""
    pairs = [(label, dict.fromkeys(words)) for label, words in lists]
    occurrences = Counter(word for _, words in pairs for word in words)
    return {Row(word, label) for label, words in pairs for word in words if occurrences[word] == 1}


def score(truth: Sequence[str], predicted: Sequence[str]) -> tuple[float, float]:
    """Return accuracy, and the mean over the labels of `truth` of their F1; both 0 to 1."""
    right = Counter(label for label, said in zip(truth, predicted, strict=True) if label == said)
    true, claimed = Counter(truth), Counter(predicted)
    f1 = [2 * right[label] / (true[label] + claimed[label]) for label in true]
    return right.total() / len(truth), sum(f1) / len(f1)

"""How many rows of a split have a near-copy in the train split, found exactly for some of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt

from charseq.console.terminal import escape_terminal
from charseq.errors import DataError
from charseq.examples import UNKNOWN_CHARACTER
from charseq.folds import count_folds, records_of_parts
from charseq.html.formats import format_share
from charseq.manifest import Manifest
from charseq.measures.metrics import wilson_interval
from charseq.process.machine import cpu_count
from pipeline.similar.leak import ROWS_AT_ONCE, SAMPLED_SEQUENCES, identities
from pipeline.verification.records import Record, read_records

_LEVELS = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)
_SHOWN_PAIRS = 5
_LIKE_NO_OTHER = "\U0010ffff"


@dataclass(frozen=True)
class Nearest:
    """Rows, and of each the train row of the highest identity.

    identity: (rows,) float32, 1 - edit distance / length of the longer sequence, as both are cut.
    num_train: the train rows that were looked at.
    """

    rows: Sequence[Record]
    nearest: Sequence[Record]
    identity: npt.NDArray[np.float32]
    num_train: int


def find_nearest(rows: Sequence[Record], train: Iterator[Record]) -> Nearest:
    """Return the nearest train row of each row; of equally near ones the first.

    An unknown character matches none.

    Args:
        rows: one or more.
        train: all train rows, one or more.
    """
    # A character outside the alphabet is like no other: which it was, records do not say.
    sequences = [row.sequence.replace(UNKNOWN_CHARACTER, _LIKE_NO_OTHER) for row in rows]
    nearest: list[Record] = [rows[0]] * len(rows)
    identity = np.full(len(rows), -1, np.float32)
    num_train = 0
    while chunk := list(islice(train, ROWS_AT_ONCE)):
        num_train += len(chunk)
        found = identities(sequences, [record.sequence for record in chunk], cpu_count())
        places = found.argmax(axis=1)
        best = found[np.arange(len(rows)), places]
        for row in np.flatnonzero(best > identity).tolist():
            nearest[row] = chunk[places[row]]
        identity = np.maximum(identity, best)
    return Nearest(rows, nearest, identity, num_train)


def measure_leak(dataset: str, manifest: Manifest, split: str) -> Nearest:
    """Return the nearest train rows of the first rows of a split.

    Records lie in the order of hashes, so that the first are a fair sample. With folds, all other
    parts are the train split.

    Raises:
        DataError: the split, or the train split, has no row.
    """
    train = [part for part in records_of_parts(manifest) if part != split]
    if not count_folds(manifest):
        train = ["train"]
    for part in (split, train[0]):
        if not manifest.records(part):
            raise DataError(f"{dataset}: no row in the split {part}")
    rows = list(islice(read_records(dataset, manifest, split), SAMPLED_SEQUENCES))
    others = (record for part in train for record in read_records(dataset, manifest, part))
    return find_nearest(rows, others)


def describe_leak(found: Nearest, split: str, threshold: float) -> str:
    """Return what was found, as text."""
    rows, identity = len(found.rows), found.identity
    near = int((identity >= threshold).sum())
    low, high = wilson_interval(near / rows, rows)
    lines = [
        f"{near:,} of {rows:,} rows of {split} ({format_share(near, rows)}; 95 %: "
        f"{format_share(low)} to {format_share(high)}) have a train row of identity "
        f"{threshold:g} or more, of {found.num_train:,}",
        f"{_same_labels(found, identity >= 0)} with the label of their nearest train row, of the "
        f"near ones {_same_labels(found, identity >= threshold)}, of the others "
        f"{_same_labels(found, identity < threshold)}",
        "nearest train row  rows",
    ]
    for level in _LEVELS:
        reached = int((identity >= level).sum())
        lines.append(f"identity {level:>3.1f} +     {reached:>6,}  {format_share(reached, rows)}")
    lines += _describe_pairs(found)
    return "\n".join(lines)


def _same_labels(found: Nearest, chosen: npt.NDArray[np.bool_]) -> str:
    """Return how many of the chosen rows have the label of their nearest train row."""
    rows = np.flatnonzero(chosen).tolist()
    same = sum(found.rows[row].label == found.nearest[row].label for row in rows)
    return f"{same:,} of {len(rows):,} rows ({format_share(same, len(rows))})" if rows else "none"


def _describe_pairs(found: Nearest) -> Iterator[str]:
    """Yield the nearest pairs."""
    order = np.argsort(-found.identity, kind="stable")[:_SHOWN_PAIRS]
    for row in order.tolist():
        one, other = (
            f"{escape_terminal(record.sequence)} ({escape_terminal(record.label)})"
            for record in (found.rows[row], found.nearest[row])
        )
        yield f"  {found.identity[row]:.3f}  {one}  like  {other}"

"""The tasks: which rows are trained on and tested, in how many folds, and with which seeds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

FOLDS = 5
# Of the weights and of the order of rows; fixed before anything was measured.
SEEDS = (1, 2)


class Unit(NamedTuple):
    """A fold of a task: one train and one test file."""

    task: str
    fold: int


@dataclass(frozen=True)
class Task:
    """Rows to learn from, and rows to test on.

    title: for tables. rows_of: the set that they are from. folds: 1 means its only test set.
    train_rows: only the first so many, which are chosen by a hash; None for all.
    """

    name: str
    title: str
    rows_of: str
    folds: int
    train_rows: int | None = None

    def units(self) -> Iterator[Unit]:
        """All its folds."""
        return (Unit(self.name, fold) for fold in range(self.folds))

    def directory(self, root: Path, fold: int) -> Path:
        """Where the train.tsv and test.tsv of a fold are."""
        return root / self.rows_of / f"fold{fold}" if self.folds > 1 else root / self.rows_of


QUALITY = (
    Task("names", "first names by sex", "names", FOLDS),
    Task("amp", "antimicrobial peptides", "amp", FOLDS),
    Task("amylo", "amyloid 6-mers", "amylo", FOLDS),
    Task("langs3k", "words of 64 languages, 3,000 each", "langs3k", 1),
    Task("langs10k", "words of 64 languages, 10,000 each", "langs10k", 1),
    Task("soluble", "protein solubility", "soluble", 1),
)
TEN = Task("ten", "words of ten languages", "ten", 1)
FEW_ROWS = (
    Task("names1000", "1,000 first names", "names", FOLDS, 1_000),
    Task("names5000", "5,000 first names", "names", FOLDS, 5_000),
    Task("amp1000", "1,000 peptides", "amp", FOLDS, 1_000),
)
TASKS = {task.name: task for task in (*QUALITY, TEN, *FEW_ROWS)}

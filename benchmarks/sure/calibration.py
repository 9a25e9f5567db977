"""Calibration and sets of labels, on the test rows of all folds of a task together."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

import charseq
from benchmarks.figures import table
from benchmarks.quality.rows import read_rows
from benchmarks.quality.tasks import TASKS
from benchmarks.trained import train_on
from charseq.measures.conformal import count_in_sets, rank_labels
from charseq.measures.reliability import losses_of, measure_calibration
from charseq.measures.set_methods import SET_METHODS
from charseq.measures.temperature import rescale
from charseq.models.calibration import read_calibration

_TASKS = ("names", "amp", "ten")
_FLAGS = {"n-grams": (), "embedding": ("--representation=embedding",)}
_TARGETS = (0.8, 0.9, 0.95)

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Measured(NamedTuple):
    """The answers to the test rows of a fold.

    labels: (rows,). before, after: probabilities (rows, labels), without and with the temperature.
    sizes: by method and target, of the sets (rows,).
    """

    temperature: float
    labels: Ints
    before: Floats
    after: Floats
    sizes: dict[tuple[str, float], Ints]


def calibration_tables(root: Path) -> str:
    """Return both tables, for each task and representation."""
    results = {
        (name, representation): [
            _measure_fold(name, fold, root, flags) for fold in range(TASKS[name].folds)
        ]
        for name in _TASKS
        for representation, flags in _FLAGS.items()
    }
    sureness = [
        [TASKS[name].title, representation, *sureness_cells(folds)]
        for (name, representation), folds in results.items()
    ]
    sets = [
        [TASKS[name].title, representation, method, *coverage_cells(folds, method)]
        for (name, representation), folds in results.items()
        for method in SET_METHODS
    ]
    return "\n\n".join(
        [
            table(
                ["", "model", "test rows", "temperature", "log loss", "calibration error, %"],
                sureness,
            ),
            table(
                ["", "model", "sets", *(f"{100 * target:.0f} % wanted" for target in _TARGETS)],
                sets,
            ),
        ]
    )


def _measure_fold(name: str, fold: int, root: Path, flags: Sequence[str]) -> Measured:
    with tempfile.TemporaryDirectory(prefix="charseq-benchmark-") as scratch:
        run = train_on(name, fold, root, Path(scratch), flags=flags)
        model = charseq.load_model(run)
        calibration = read_calibration(str(run))
    assert calibration is not None
    rows = read_rows(TASKS[name].directory(root, fold) / "test.tsv")
    after = model.predict([row.sequence for row in rows]).probabilities.astype(np.float64)
    labels = np.array([model.labels.index(row.label) for row in rows])
    falling = -np.sort(-after, axis=1)
    sizes = {
        (method, target): count_in_sets(falling, calibration.threshold(method, target), method)
        for method in SET_METHODS
        for target in _TARGETS
    }
    print(f"{name}, fold {fold}: measured on {len(rows)} rows", file=sys.stderr, flush=True)
    before = rescale(after, 1 / calibration.temperature)
    return Measured(calibration.temperature, labels, before, after, sizes)


def sureness_cells(folds: Sequence[Measured]) -> list[str]:
    """Return rows, temperatures, log losses and calibration errors of all folds together."""
    labels = np.concatenate([fold.labels for fold in folds])
    both = [np.concatenate([getattr(fold, name) for fold in folds]) for name in ("before", "after")]
    losses = [losses_of(each[np.arange(len(labels)), labels]).mean() for each in both]
    errors = [100 * measure_calibration(each, labels) for each in both]
    temperatures = sorted(fold.temperature for fold in folds)
    shown = f"{temperatures[0]:.2f}"
    if len(folds) > 1:
        shown += f" to {temperatures[-1]:.2f}"
    return [
        f"{len(labels):,}",
        shown,
        f"{losses[0]:.4f} to {losses[1]:.4f}",
        f"{errors[0]:.2f} to {errors[1]:.2f}",
    ]


def coverage_cells(folds: Sequence[Measured], method: str) -> list[str]:
    """Return for each target how often sets hold the right label, and their mean size."""
    cells = []
    for target in _TARGETS:
        ranks = [rank_labels(fold.labels, fold.after) for fold in folds]
        sizes = [fold.sizes[method, target] for fold in folds]
        held = np.concatenate(ranks) < np.concatenate(sizes)
        cells.append(f"{100 * held.mean():.1f} % in {np.concatenate(sizes).mean():.2f}")
    return cells

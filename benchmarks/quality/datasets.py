"""Prepare the train rows of a unit, and give the peers the rows of the same splits."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from benchmarks.quality.rows import Row, read_rows, write_rows
from benchmarks.quality.tasks import Task
from charseq.errors import DataError
from pipeline.options import Options
from pipeline.rows.hashing import hash_sequences
from pipeline.shards.partition import assign_splits
from pipeline.split_fractions import parse_split

AUTO = ("--alphabet-size=auto", "--max-length=auto")
_SPLITS = ("train", "validation")


class Prepared(NamedTuple):
    """A unit that can be trained on.

    dataset: as `python -m pipeline` wrote it. train, validation: the rows of its splits, as they
    were read. test: the rows to predict, which are not in the dataset.
    """

    dataset: Path
    train: Path
    validation: Path
    test: Path


def prepare_unit(
    task: Task, fold: int, root: Path, flags: Sequence[str] = AUTO, name: str = "dataset"
) -> Prepared:
    """Prepare a fold of a task below `root/work`; what is there already is kept.

    Raises:
        DataError: the rows were not fetched, or those of the peers are not those of the dataset.
        subprocess.CalledProcessError: the preparation failed.
    """
    source = task.directory(root, fold)
    if not (source / "train.tsv").exists():
        raise DataError(
            f"{source}: no train.tsv; run python -m benchmarks.quality fetch {root} first"
        )
    place = root / "work" / task.name / f"fold{fold}"
    rows = read_rows(source / "train.tsv")[: task.train_rows]
    if not (place / "rows.tsv").exists():
        write_rows(place / "rows.tsv", rows)
    dataset = place / name
    command = [sys.executable, "-m", "pipeline", f"--input={place / 'rows.tsv'}"]
    subprocess.run([*command, f"--output={dataset}", *flags], check=True, stdout=sys.stderr)
    manifest = json.loads((dataset / "dataset.json").read_text(encoding="utf-8"))
    train, validation = (place / f"{name}-{split}.tsv" for split in _SPLITS)
    for path, rows_of_split in zip((train, validation), split_rows(rows, manifest), strict=True):
        write_rows(path, rows_of_split)
    return Prepared(dataset, train, validation, source / "test.tsv")


def split_rows(rows: Sequence[Row], manifest: Mapping[str, Any]) -> list[list[Row]]:
    """Return the rows of the train split and those of the validation split of a dataset, uncut.

    Of rows that are equal where the dataset cuts them, only the first is in it.

    Raises:
        DataError: there are more or fewer than the dataset has.
    """
    length = manifest["max_length"]
    distinct = {(row.sequence[:length], row.label): row for row in reversed(rows)}
    fractions = parse_split(Options.split)
    cut = pa.array([sequence for sequence, _ in distinct], pa.string())
    places = assign_splits(hash_sequences(cut, Options.seed), fractions).tolist()
    by_split: dict[str, list[Row]] = {split: [] for split in fractions}
    for row, place in zip(distinct.values(), places, strict=True):
        by_split[tuple(fractions)[place]].append(row)
    for split in _SPLITS:
        found, expected = len(by_split[split]), manifest["counts"][split]
        if found != expected:
            raise DataError(f"{found} rows for the {split} split, expected {expected} as prepared")
    return [by_split[split] for split in _SPLITS]

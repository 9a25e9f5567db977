"""The datasets that every engine writes, beside those of the runner in the launching process."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.sample import main as write_sample
from tests.engines.checks import check, check_the_same, prepare, step

ROWS = 20_000
UNFIT_ROWS = ",alpha\nACD,\nACD,alpha,more\nACD,alpha\nACD,alpha\nACD,beta\n"


@dataclass(frozen=True)
class Dataset:
    """A dataset by its flags; `{folder}` in them is where the inputs are."""

    name: str
    source: str
    flags: tuple[str, ...] = ()


BASE = Dataset("base", "rows.csv", ("--stratify",))
DATASETS = (
    Dataset("ids", "rows.csv", ("--num-shards=3",)),
    Dataset("one_hot", "rows.csv", ("--encoding=one_hot", "--compression=gzip", "--num-shards=3")),
    Dataset("text", "text/*.txt", ("--label-from=file", "--num-shards=2")),
    Dataset("parquet", "rows.parquet", ("--num-shards=2",)),
    Dataset("stratify", "columns.csv", ("--stratify",)),
    Dataset("group", "columns.csv", ("--group-column=group",)),
    Dataset("folds", "columns.csv", ("--folds=4", "--stratify")),
    Dataset("column", "columns.csv", ("--split-column=part",)),
    Dataset("similar", "columns.csv", ("--similar=0.7",)),
    Dataset("similar-drop", "columns.csv", ("--similar=0.7", "--similar-policy=drop")),
    Dataset("added", "more.csv", ("--base={folder}/base",)),
)


class LocalDatasets:
    """The inputs of all datasets, and the datasets that this process's runner makes of them."""

    def __init__(self, folder: Path, logs: Path, only: Sequence[str] | None = None) -> None:
        self._folder, self._logs = folder, logs
        self._datasets = [each for each in DATASETS if only is None or each.name in only]
        self._manifests: dict[str, dict[str, Any]] = {}
        write_inputs(folder)
        with step(f"{ROWS:,} rows to add to, in this process's runner"):
            self._prepare(BASE, folder / "base")

    def compare(self, engine: str, beam_flags: Sequence[str]) -> int:
        """Prepare each dataset on an engine, too; the number of those that were the same.

        Raises:
            DataError: at the first that differs.
        """
        for dataset in self._datasets:
            local = self._local(dataset)
            with step(f"{dataset.name} on {engine}, {local['fingerprint'][:16]}"):
                output = self._folder / f"{dataset.name}-{engine.lower()}"
                found = self._prepare(dataset, output, *beam_flags)
            check_the_same(found, local)
            if dataset.name == "added":
                check("rows that the base has", found["counts"]["duplicates"] >= 298, True)
        return len(self._datasets)

    def _local(self, dataset: Dataset) -> dict[str, Any]:
        if dataset.name not in self._manifests:
            with step(f"{dataset.name} in this process's runner"):
                output = self._folder / f"{dataset.name}-local"
                self._manifests[dataset.name] = self._prepare(dataset, output)
        return self._manifests[dataset.name]

    def _prepare(self, dataset: Dataset, output: Path, *beam_flags: str) -> dict[str, Any]:
        flags = [flag.format(folder=self._folder) for flag in dataset.flags]
        source = str(self._folder / dataset.source)
        return prepare(source, output, self._logs, *flags, *beam_flags)


def write_inputs(folder: Path) -> None:
    """Write the inputs of all datasets: the same rows in several formats, and rows to add."""
    sample = write_rows(folder / "rows.csv", ROWS)
    header, *lines = sample.read_text().splitlines()
    more = [header, *lines[:299], *("B" + line for line in lines[299:899])]
    (folder / "more.csv").write_text("\n".join(more) + "\n")
    rows = [line for line in lines if line.count(",") == 1 and not line.startswith(",")]
    parts = [f"{line},g{n % 500},{('train', 'test')[n % 7 == 0]}" for n, line in enumerate(rows)]
    (folder / "columns.csv").write_text("\n".join([f"{header},group,part", *parts]) + "\n")
    sequences, labels = zip(*(line.split(",") for line in rows), strict=True)
    pq.write_table(pa.table({"sequence": sequences, "label": labels}), folder / "rows.parquet")
    by_label: dict[str, list[str]] = {}
    for sequence, label in zip(sequences, labels, strict=True):
        by_label.setdefault(label or "none", []).append(sequence)
    (folder / "text").mkdir()
    for label, texts in by_label.items():
        (folder / "text" / f"{label}.txt").write_text("\n".join(texts) + "\n")


def write_rows(path: Path, rows: int) -> Path:
    """A sample with duplicates, an ambiguous sequence and unfit rows at its end."""
    with redirect_stdout(None):
        write_sample(["--rows", str(rows), "--output", str(path)])
    with path.open("a") as file:
        file.write(UNFIT_ROWS)
    return path

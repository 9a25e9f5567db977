"""A forecast of a preparation from what a row of its input costs, in words for users."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from charseq.process.machine import format_bytes
from pipeline.estimate.costs import Costs

# Measured, see docs/engines.md: the core seconds of a run for a core second of the steps that
# `pipeline.estimate.costs` measures; Beam takes the rest, or a core waits.
RUN_PER_COST = 1.05
# Core seconds of workers on Flink, which also copy rows between processes, likewise.
CLUSTER_PER_COST = 1.35
# Of a run in one process, likewise: of few rows, and of each row, whose place in a file is kept.
_MEMORY, _MEMORY_OF_ROW = 1_050_000_000, 3


@dataclass(frozen=True)
class Forecast:
    """What a preparation will make and take.

    rows: of the input. sampled: those of the sample. start_seconds: of a run of hardly any rows.
    characters, labels: of the dataset of the sample. rejected, duplicates: shares of its rows.
    files, bytes: of the input. cores: of this machine.
    """

    files: int
    bytes: int
    rows: int
    sampled: int
    rejected: float
    duplicates: float
    characters: int
    labels: int
    start_seconds: float
    costs: Costs
    cores: int

    @property
    def seconds(self) -> float:
        """Of the run on this machine, in one process."""
        return self.start_seconds + self.rows * self.costs.seconds * RUN_PER_COST / self.cores

    @property
    def dataset_bytes(self) -> int:
        """Of the shards and their indexes."""
        return round(self.rows * self.costs.written)

    @property
    def disk_bytes(self) -> int:
        """At the end of the run on this machine, the dataset included."""
        return round(self.rows * (self.costs.spilled + self.costs.written))

    @property
    def memory_bytes(self) -> int:
        """The peak of the run on this machine."""
        return _MEMORY + _MEMORY_OF_ROW * self.rows

    @property
    def core_hours(self) -> float:
        """Of the workers of a cluster."""
        return self.rows * self.costs.seconds * CLUSTER_PER_COST / 3600

    def lines(self, core_hour_price: float | None) -> Iterator[str]:
        """Yield the forecast as text."""
        exact = "" if self.rows == self.sampled else "about "
        yield (
            f"input: {self.files:,} file(s), {format_bytes(self.bytes)}, {exact}{self.rows:,} rows"
        )
        yield (
            f"sample: {self.sampled:,} rows, {self.rejected:.1%} rejected, "
            f"{self.duplicates:.1%} duplicates (of all rows there may be more)"
        )
        yield f"dataset: {self.labels:,} labels, {self.characters:,} characters in the sample"
        yield f"  {format_bytes(self.dataset_bytes)} in {self.costs.shards:,} shards"
        yield f"this machine, {self.cores} cores: about {_duration(self.seconds)}"
        yield (
            f"  {format_bytes(self.memory_bytes)} of memory, {format_bytes(self.disk_bytes)} of "
            "disk, the dataset included"
        )
        yield f"Flink or Dataflow: about {self.core_hours:.2g} core hours, and the start of workers"
        for workers in (1, 10, 100):
            hours = self.core_hours / workers
            yield f"  {workers:,} worker(s) of one core: {_duration(hours * 3600)}"
        if core_hour_price is not None:
            price = self.core_hours * core_hour_price
            yield f"  at {core_hour_price:g} for a core hour: {price:.2g}"


def _duration(seconds: float) -> str:
    """Return seconds as text, such as `3.4 min`."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"

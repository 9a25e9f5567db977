"""From costs to figures to Markdown."""

from __future__ import annotations

import math
import os
import platform
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

from benchmarks.measure import Cost

_PACKAGES = ("apache-beam", "tensorflow", "tensorflow-transform", "tfx-bsl", "pyarrow", "numpy")


@dataclass(frozen=True)
class Round:
    """One contestant's two runs of a round, and what follows from them.

    Where a difference drowned in the machine's noise, what is made of it is NaN.
    """

    small: Cost
    whole: Cost
    small_rows: int
    whole_rows: int

    @property
    def whole_rate(self) -> float:
        """Rows a second of the whole run, start to end."""
        return self.whole_rows / self.whole.wall

    @property
    def marginal_rate(self) -> float:
        """Rows a second of the rows that the whole run has more."""
        return self._more_rows / self._more_wall

    @property
    def fixed_seconds(self) -> float:
        """What a run without rows would take."""
        return self.whole.wall - self.whole_rows / self.marginal_rate

    @property
    def marginal_cpu(self) -> float:
        """CPU seconds a row."""
        return self._more_cpu / self._more_rows

    @property
    def busy_cores(self) -> float:
        """CPU over wall seconds of the marginal part."""
        return self._more_cpu / self._more_wall

    @property
    def growth(self) -> float:
        """Bytes of peak memory a row."""
        return (self.whole.peak - self.small.peak) / self._more_rows

    @property
    def _more_rows(self) -> int:
        return self.whole_rows - self.small_rows

    @property
    def _more_wall(self) -> float:
        return _above_noise(self.whole.wall - self.small.wall)

    @property
    def _more_cpu(self) -> float:
        return _above_noise(self.whole.cpu - self.small.cpu)


def _above_noise(seconds: float) -> float:
    return seconds if seconds > 0 else math.nan


Figure = Callable[[Round], float]

_FIGURES: Mapping[str, tuple[Figure, str]] = {
    "rows/s, whole run": (lambda one: one.whole_rate, ",.0f"),
    "rows/s, marginal": (lambda one: one.marginal_rate, ",.0f"),
    "fixed s": (lambda one: one.fixed_seconds, ".1f"),
    "CPU s": (lambda one: one.whole.cpu, ",.1f"),
    "CPU µs/row, marginal": (lambda one: one.marginal_cpu * 1e6, ",.1f"),
    "CPU/wall, marginal": (lambda one: one.busy_cores, ".2f"),
    "peak MB": (lambda one: one.whole.peak / 1e6, ",.0f"),
    "bytes/row": (lambda one: one.growth, ",.0f"),
}
_RATIOS: Mapping[str, Figure] = {
    "rows/s, whole run": lambda one: one.whole_rate,
    "rows/s, marginal": lambda one: one.marginal_rate,
    "rows per CPU second, marginal": lambda one: 1 / one.marginal_cpu,
}


def figures_table(rounds: Mapping[str, Sequence[Round]]) -> str:
    """A line for each contestant, of medians over its rounds."""
    lines = [
        [name, *(_median(map(figure, of_one), form) for figure, form in _FIGURES.values())]
        for name, of_one in rounds.items()
    ]
    return _table(["", *_FIGURES], lines)


def ratios_table(pairs: Mapping[tuple[str, str], tuple[Sequence[Round], Sequence[Round]]]) -> str:
    """A line for each pair: how many times the other's figure is reached, paired by round."""
    lines = [
        [
            f"{name} : {other}",
            *(
                _median((figure(a) / figure(b) for a, b in zip(*rounds, strict=True)), ".2f")
                for figure in _RATIOS.values()
            ),
        ]
        for (name, other), rounds in pairs.items()
    ]
    return _table(["ratio", *_RATIOS], lines)


def _median(values: Iterable[float], form: str) -> str:
    found = list(values)
    return "–" if any(map(math.isnan, found)) else format(statistics.median(found), form)


def _table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rule = ["---"] + ["---:"] * (len(header) - 1)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, rule, *lines))


def describe_machine() -> str:
    """Date, processor, memory, what else it was busy with, and versions, on two lines."""
    today = datetime.now(timezone.utc).date().isoformat()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    versions = ", ".join(f"{package} {version(package)}" for package in _PACKAGES)
    return (
        f"{today}; {os.cpu_count()} cores of {_processor()}, {memory:.0f} GB; "
        f"load average before the start {os.getloadavg()[0]:.1f}.\n"
        f"Python {platform.python_version()}, {versions}."
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()

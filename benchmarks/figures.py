"""Format the measurements of several rounds as Markdown tables."""

from __future__ import annotations

import math
import os
import platform
import shlex
import statistics
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

from benchmarks.measure import Cost

Of = TypeVar("Of")
# What is made of one round.
Figure = Callable[[Of], float]


def figures_table(
    rounds: Mapping[str, Sequence[Of]], figures: Mapping[str, tuple[Figure[Of], str]]
) -> str:
    """A line for each contestant, of medians over its rounds.

    figures: by the heading of their column, and the format of their median. NaN is told as "–".
    """
    lines = [
        [name, *(_median(map(figure, of_one), form) for figure, form in figures.values())]
        for name, of_one in rounds.items()
    ]
    return table(["", *figures], lines)


def ratios_table(
    pairs: Sequence[tuple[str, str]],
    rounds: Mapping[str, Sequence[Of]],
    figures: Mapping[str, Figure[Of]],
) -> str:
    """A line for each pair: how many times the other's figure is reached, paired by round."""
    lines = [
        [
            f"{name} : {other}",
            *(
                _median(
                    (
                        figure(a) / figure(b)
                        for a, b in zip(rounds[name], rounds[other], strict=True)
                    ),
                    ".2f",
                )
                for figure in figures.values()
            ),
        ]
        for name, other in pairs
    ]
    return table(["ratio", *figures], lines)


def _median(values: Iterable[float], form: str) -> str:
    found = list(values)
    return "–" if any(map(math.isnan, found)) else format(statistics.median(found), form)


def table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table; all columns but the first are of numbers."""
    rule = ["---"] + ["---:"] * (len(header) - 1)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, rule, *lines))


def growth(small: Cost, whole: Cost, more_rows: int) -> float:
    """Bytes of peak memory for each row that the whole run has more."""
    return (whole.peak - small.peak) / more_rows


def show_command(module: str, argv: Sequence[str] | None) -> str:
    """The command line that was given, None for that of the process."""
    return f"python -m {module} {shlex.join(sys.argv[1:] if argv is None else argv)}".rstrip()


def describe_machine(packages: Sequence[str], *others: str) -> str:
    """Date, processor, memory, what else it was busy with, and versions, on two lines.

    others: name and version of what is not installed beside `packages`.
    """
    today = datetime.now(timezone.utc).date().isoformat()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    versions = ", ".join([*(f"{package} {version(package)}" for package in packages), *others])
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

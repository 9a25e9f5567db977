"""Markdown tables of results: means over folds and seeds, and how far single runs are from them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from benchmarks.figures import table
from benchmarks.quality.results import NO_TIME, Key, Result, Seconds, of_system
from benchmarks.quality.tasks import QUALITY, TASKS

OURS = "charseq"
TUNED = ("fastText tuned", "scikit-learn tuned")

Figure = Callable[[Result], float]


def spread_table(
    heading: str, results: Mapping[Key, Result], systems: Collection[str], figure: Figure
) -> str:
    """A line for each task, a column for each system: mean ± standard deviation, in percent."""
    lines = []
    for name in tasks_of(results):
        cells = []
        for system in systems:
            values = [figure(one) for one in of_system(results.values(), name, system)]
            cells.append(format_spread(values))
        lines.append([TASKS[name].title, *cells])
    return table([heading, *systems], lines)


def format_spread(shares: Sequence[float]) -> str:
    """Mean and standard deviation of shares of 1, in percent; "–" if there are none."""
    if not shares:
        return "–"
    mean = f"{100 * statistics.fmean(shares):.1f}"
    return mean if len(shares) == 1 else f"{mean} ± {100 * statistics.stdev(shares):.1f}"


def tasks_of(results: Mapping[Key, Result]) -> list[str]:
    """Return the tasks that have a result, in their order."""
    present = {key.task for key in results}
    return [name for name in TASKS if name in present]


def margin(results: Mapping[Key, Result], task: str) -> float | None:
    """How much more accurate charseq is than the better tuned peer, of 1.

    None until there is a result of each.
    """
    of_task = [of_system(results.values(), task, system) for system in (OURS, *TUNED)]
    if not all(of_task):
        return None
    ours, *peers = (statistics.fmean(one.accuracy for one in found) for found in of_task)
    return ours - max(peers)


def describe_margins(results: Mapping[Key, Result]) -> str:
    """A sentence on the tasks of quality that are complete; "" if none is."""
    margins = [one for task in QUALITY if (one := margin(results, task.name)) is not None]
    if not margins:
        return ""
    ahead = sum(one >= 0 for one in margins)
    return (
        f"charseq is at or above the better of the tuned peers on {ahead} of {len(margins)} "
        f"tasks, and {100 * statistics.fmean(margins):+.1f} points from it on average."
    )


def costs_table(results: Mapping[Key, Result], systems: Collection[str]) -> str:
    """A line for each task and system: seconds of training, and sequences predicted a second."""
    header = [
        *("task", "system", "s, with start", "s", "CPU s, with start", "CPU s", "tuning s"),
        *("s, with start : tuned fastText", "predicted rows/s"),
    ]
    lines = []
    for name in tasks_of(results):
        reference = _mean_seconds(of_system(results.values(), name, TUNED[0]), _whole)
        for system in systems:
            found = of_system(results.values(), name, system)
            if found:
                whole = _mean_seconds(found, _whole)
                training = _mean_seconds(found, lambda one: one.training)
                tuning = _mean_seconds(found, lambda one: one.tuning).wall
                lines.append(
                    [
                        *(TASKS[name].title, system),
                        *(f"{whole.wall:,.1f}", f"{training.wall:,.1f}"),
                        *(f"{whole.cpu:,.1f}", f"{training.cpu:,.1f}"),
                        f"{tuning:,.1f}" if tuning else "–",
                        f"{whole.wall / reference.wall:.2f}" if reference.wall else "–",
                        format_rate([(one.test_rows, one.prediction.wall) for one in found]),
                    ]
                )
    return table(header, lines)


def format_rate(runs: Sequence[tuple[int, float]]) -> str:
    """Rows a second of several runs of (rows, seconds); "–" if the start hides the seconds."""
    rows, seconds = (sum(column) for column in zip(*runs, strict=True))
    return f"{rows / seconds:,.0f}" if seconds > 0 else "–"


def _whole(one: Result) -> Seconds:
    return one.start + one.training


def _mean_seconds(found: Sequence[Result], seconds: Callable[[Result], Seconds]) -> Seconds:
    total = sum((seconds(one) for one in found), NO_TIME)
    return Seconds(total.wall / max(1, len(found)), total.cpu / max(1, len(found)))


def options_lines(results: Mapping[Key, Result], systems: Collection[str]) -> str:
    """A list item for each task and system: the options that were resolved or chosen.

    Those of a system that are the same in all its results come first, once.
    """
    lines = []
    for system in systems:
        found = [one for one in results.values() if one.key.system == system]
        same = _same_options([one.options for one in found])
        if same:
            lines.append(f"- {system}: {_format(same)}")
        for name in tasks_of(results):
            differing = (
                _format({key: one.options[key] for key in one.options if key not in same})
                for one in of_system(found, name, system)
            )
            texts = list(filter(None, dict.fromkeys(differing)))
            if texts:
                lines.append(f"- {system}, {TASKS[name].title}: {'; or '.join(texts)}")
    return "\n".join(lines)


def _same_options(options: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    first = options[0] if options else {}
    return {
        name: value
        for name, value in first.items()
        if all(name in one and one[name] == value for one in options)
    }


def _format(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in options.items())


def courses(
    results: Mapping[Key, Result], task: str, systems: Collection[str]
) -> dict[str, list[tuple[float, float]]]:
    """Return a line of the chart for each family of systems: (seconds with start, accuracy).

    A family is the first word of the names, and each of its systems a point, the mean.
    """
    lines: dict[str, list[tuple[float, float]]] = {}
    for system in systems:
        found = of_system(results.values(), task, system)
        if found:
            accuracy = statistics.fmean(one.accuracy for one in found)
            point = (_mean_seconds(found, _whole).wall, accuracy)
            lines.setdefault(system.partition(" ")[0].rstrip(","), []).append(point)
    return {name: sorted(points) for name, points in lines.items()}

"""Compare this trainer, unasked, with n-gram classifiers on real data.

`python -m benchmarks.quality fetch DIR` fetches and builds the data, `run DIR` measures and prints
Markdown, `shapes DIR` compares the representations. What is measured is kept in DIR, so that a
benchmark that was stopped goes on.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from benchmarks.chart import draw_accuracy
from benchmarks.figures import describe_machine, show_command, table
from benchmarks.quality import tables
from benchmarks.quality.datasets import AUTO, prepare_unit
from benchmarks.quality.fetch import fetch
from benchmarks.quality.results import Key, Result, add_result, of_system, read_results
from benchmarks.quality.sources import PEERS as PEER_PACKAGES
from benchmarks.quality.systems import CHARSEQ, LONGER, MAJORITY, PEERS, Job, System, run_charseq
from benchmarks.quality.tasks import FEW_ROWS, TASKS, TEN, Task
from charseq.cli import exit_status

_SYSTEMS = {system.name: system for system in (CHARSEQ, LONGER, *PEERS, MAJORITY)}
_LOWEST_DRAWN = 0.5
_PACKAGES = ("tensorflow", "keras", "numpy")
# By the shape of a record: the representation of the trainer that makes it of ids (31,).
_SHAPES = {"(31,)": "embedding", "(31, 25)": "one_hot", "(31, 1)": "scalar"}


def systems_of(task: Task, systems: Sequence[System]) -> Iterator[System]:
    """The systems that are asked of a task: longer trainings only where rows are few."""
    return (system for system in systems if system is not LONGER or task in FEW_ROWS)


def measure(
    root: Path,
    path: Path,
    tasks: Sequence[Task],
    systems: Sequence[System],
    flags: Sequence[str] = AUTO,
    dataset: str = "dataset",
) -> dict[Key, Result]:
    """Run what has no result yet; return all results of the file `path`."""
    results = read_results(path)
    for task in tasks:
        for fold in range(task.folds):
            asked = [
                (Key(task.name, fold, seed, system.name), system)
                for system in systems_of(task, systems)
                for seed in system.seeds
            ]
            missing = [(key, system) for key, system in asked if key not in results]
            if missing:
                unit = prepare_unit(task, fold, root, flags, dataset)
                for key, system in missing:
                    results[key] = _measure_one(Job(key, unit, root, results), system)
                    add_result(path, results[key])
    return results


def _measure_one(job: Job, system: System) -> Result:
    result = system.run(job)
    key, seconds = job.key, result.training.wall
    print(
        f"{key.task}, fold {key.fold}, seed {key.seed}, {key.system}: "
        f"{result.accuracy:.4f} after {seconds:.1f} s",
        file=sys.stderr,
        flush=True,
    )
    return result


def print_results(results: Mapping[Key, Result], systems: Sequence[str]) -> None:
    """Print all tables."""
    for heading, figure in (
        ("accuracy, %", lambda one: one.accuracy),
        ("macro F1, %", lambda one: one.macro_f1),
    ):
        print(f"\n{tables.spread_table(heading, results, systems, figure)}")
    print(f"\n{tables.describe_margins(results)}")
    timed = [name for name in systems if name != MAJORITY.name]
    print(f"\n{tables.costs_table(results, timed)}")
    print(f"\n{tables.options_lines(results, systems)}")


def _draw(results: Mapping[Key, Result], systems: Sequence[str], directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for task in tables.tasks_of(results):
        lines = tables.courses(results, task, systems)
        (directory / f"{task}.svg").write_text(
            draw_accuracy(lines, _LOWEST_DRAWN), encoding="utf-8"
        )


def _run(arguments: argparse.Namespace) -> None:
    tasks = [task for name, task in TASKS.items() if name in (arguments.only or TASKS)]
    names = arguments.systems or list(_SYSTEMS)
    machine = describe_machine(_PACKAGES, *(peer.replace("==", " ") for peer in PEER_PACKAGES))
    path = arguments.results or arguments.directory / "results.jsonl"
    measured = measure(arguments.directory, path, tasks, [_SYSTEMS[name] for name in names])
    shown = {key: one for key, one in measured.items() if TASKS[key.task] in tasks}
    print(f"`{show_command('benchmarks.quality', arguments.argv)}`.\n{machine}")
    print_results(shown, names)
    if arguments.charts:
        _draw(shown, names, arguments.charts)


def _compare_shapes(arguments: argparse.Namespace) -> None:
    systems = [
        System(shape, partial(run_charseq, flags=[f"--representation={representation}"]))
        for shape, representation in _SHAPES.items()
    ]
    task, machine = TASKS[arguments.only], describe_machine(_PACKAGES)
    path = arguments.directory / "shapes.jsonl"
    results = measure(arguments.directory, path, [task], systems, (), "dataset-31-25")
    print(f"`{show_command('benchmarks.quality', arguments.argv)}`: {task.title}.\n{machine}\n")
    print(shapes_table(results, task.name))


def shapes_table(results: Mapping[Key, Result], task: str) -> str:
    """A line for each shape of a record."""
    lines = []
    for shape in _SHAPES:
        found = of_system(results.values(), task, shape)
        accuracy = tables.format_spread([one.accuracy for one in found])
        rate = statistics.median(one.rate or math.nan for one in found)
        lines.append([f"`{shape}`", accuracy, f"{rate:,.0f}"])
    return table(["input shape", "accuracy, %", "sequences/s"], lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.quality",
        description="Compare this trainer with n-gram classifiers on real data; print Markdown.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(required=True)
    fetching = _add_command(commands, "fetch", "fetch and build the data (1 GB, 10 minutes)")
    fetching.set_defaults(command=lambda arguments: fetch(arguments.directory))
    running = _add_command(commands, "run", "measure what has no result yet; print all")
    running.add_argument(
        "--only", nargs="+", choices=TASKS, metavar="TASK", help=f"tasks: {', '.join(TASKS)}"
    )
    running.add_argument(
        "--systems",
        nargs="+",
        choices=_SYSTEMS,
        metavar="NAME",
        help=f"systems: {', '.join(map(repr, _SYSTEMS))}",
    )
    running.add_argument(
        "--results",
        type=Path,
        metavar="FILE.jsonl",
        help="where results are kept (default: DIR/results.jsonl); another for other code",
    )
    running.add_argument(
        "--charts", type=Path, metavar="DIR", help="also draw accuracy over seconds for each task"
    )
    running.set_defaults(command=_run)
    comparing = _add_command(commands, "shapes", f"compare records of {', '.join(_SHAPES)}")
    comparing.add_argument(
        "--only",
        choices=TASKS,
        default=TEN.name,
        metavar="TASK",
        help="task (default: %(default)s)",
    )
    comparing.set_defaults(command=_compare_shapes)
    return parser


def _add_command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, description: str
) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name, help=description, description=description, allow_abbrev=False
    )
    parser.add_argument("directory", type=Path, metavar="DIR", help="with the data and results")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Do as the command line says; return the exit status."""

    def run() -> None:
        arguments = _parser().parse_args(argv)
        arguments.argv, arguments.directory = argv, arguments.directory.resolve()
        arguments.command(arguments)

    return exit_status(run)


if __name__ == "__main__":
    sys.exit(main())

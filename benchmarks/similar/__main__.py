"""Measure --similar: what it keeps apart, what it costs, and what other programs find.

`python -m benchmarks.similar leak DIR` compares ways to split real data, `cost` times the
preparation with and without --similar, `peers` runs programs that cluster proteins on the same
sequences. Each prints Markdown.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.figures import describe_machine, show_command
from benchmarks.similar.cost import compare, cost_tables
from benchmarks.similar.leak import DATA, IDENTITY, cluster_lines, leak_table, measure
from benchmarks.similar.peers import peers_table
from charseq.cli import exit_status

_PACKAGES = ("apache-beam", "tensorflow", "keras", "rapidfuzz", "numpy")
_ROWS = {"cost": [100_000, 1_085_420], "peers": [20_000, 100_000]}


def _print_head(arguments: argparse.Namespace) -> None:
    command = show_command("benchmarks.similar", arguments.argv)
    print(f"`{command}`.\n{describe_machine(_PACKAGES)}\n")


def _leak(arguments: argparse.Namespace) -> None:
    root = arguments.directory.resolve()
    path = arguments.results or root / "similar.jsonl"
    results = measure(root, path, [name for name in DATA if name in (arguments.only or DATA)])
    _print_head(arguments)
    print(leak_table(results))
    print(f"\nClusters of `--similar {IDENTITY}`:\n")
    print("\n".join(cluster_lines(results)))


def _cost(arguments: argparse.Namespace) -> None:
    _print_head(arguments)
    for rows in arguments.rows:
        costs = compare(rows, arguments.repeats)
        print(f"{rows:,} rows, medians of {arguments.repeats}:\n\n{cost_tables(costs)}\n")


def _peers(arguments: argparse.Namespace) -> None:
    _print_head(arguments)
    for rows in arguments.rows:
        print(f"{peers_table(rows, arguments.repeats)}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.similar",
        description="Measure --similar; print Markdown.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(required=True)
    leaking = _add_command(commands, "leak", _leak, "compare ways to split real data")
    leaking.add_argument(
        "directory", type=Path, metavar="DIR", help="directory of benchmarks.quality fetch"
    )
    leaking.add_argument("--only", nargs="+", choices=DATA, metavar="NAME", help=", ".join(DATA))
    leaking.add_argument(
        "--results",
        type=Path,
        metavar="FILE.jsonl",
        help="where results are kept (default: DIR/similar.jsonl); another for other code",
    )
    for name, command, description in (
        ("cost", _cost, "time the preparation with and without --similar"),
        ("peers", _peers, "count the pairs that --similar, cd-hit and mmseqs find"),
    ):
        timing = _add_command(commands, name, command, description)
        timing.add_argument(
            "--rows", nargs="+", type=int, default=_ROWS[name], metavar="N", help="%(default)s"
        )
        timing.add_argument("--repeats", type=int, default=3, metavar="N", help="%(default)s")
    return parser


def _add_command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    command: object,
    description: str,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name, help=description, description=description, allow_abbrev=False
    )
    parser.set_defaults(command=command)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Do as the command line says; return the exit status."""

    def run() -> None:
        arguments = _parser().parse_args(argv)
        arguments.argv = argv
        arguments.command(arguments)

    return exit_status(run)


if __name__ == "__main__":
    sys.exit(main())

"""Command-line options that the comparisons share."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from benchmarks.samples import LENGTHS


def comparison_parser(
    program: str, description: str, rows: int, contestants: Sequence[str]
) -> argparse.ArgumentParser:
    """Return a parser with `--rows` (default: `rows`), `--repeats` and `--only`."""
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{program}", description=description, allow_abbrev=False
    )
    parser.add_argument(
        "--rows", type=int, default=rows, metavar="N", help="number of rows (default: %(default)s)"
    )
    parser.add_argument(
        "--repeats",
        type=int,
        default=3,
        metavar="N",
        help="number of rounds (default: %(default)s)",
    )
    parser.add_argument(
        "--only",
        nargs="+",
        choices=contestants,
        metavar="NAME",
        help=f"contestants: {', '.join(contestants)}",
    )
    return parser


def add_lengths(parser: argparse.ArgumentParser) -> None:
    """Add `--lengths`, the lengths of the rows."""
    parser.add_argument(
        "--lengths",
        choices=LENGTHS,
        default="mixed",
        help="mixed: 5 to 40 characters, as pipeline.sample writes; full: 31 or more; short: 5 to "
        "15 (default: %(default)s)",
    )

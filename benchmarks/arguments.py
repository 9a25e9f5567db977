"""Command-line options that the comparisons share."""

from __future__ import annotations

import argparse
from collections.abc import Sequence


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

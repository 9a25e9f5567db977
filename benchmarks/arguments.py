"""The command line that all comparisons have."""

from __future__ import annotations

import argparse
from collections.abc import Sequence


def comparison_parser(
    program: str, description: str, rows: int, contestants: Sequence[str]
) -> argparse.ArgumentParser:
    """`--rows` (by default `rows`), `--repeats` (3) and `--only`, names of contestants."""
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{program}", description=description, allow_abbrev=False
    )
    parser.add_argument("--rows", type=int, default=rows, metavar="N", help="(%(default)s)")
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="(%(default)s)")
    parser.add_argument(
        "--only",
        nargs="+",
        choices=contestants,
        metavar="NAME",
        help=f"of {', '.join(contestants)}",
    )
    return parser

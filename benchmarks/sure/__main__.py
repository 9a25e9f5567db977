"""Measure how far an exported model's own word can be relied on.

`python -m benchmarks.sure calibration DIR` measures log loss and calibration error on test rows,
without and with the temperature, and how often sets of labels hold the right one. `python -m
benchmarks.sure strangeness DIR` measures how well texts of other domains, and words of a language
that was left out, are told from test rows by their strangeness, and by the highest probability.
Both print Markdown.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.figures import describe_machine, show_command
from benchmarks.sure.calibration import calibration_tables
from benchmarks.sure.strangeness import strangeness_tables
from charseq.cli import exit_status

_PACKAGES = ("tensorflow", "keras", "numpy")
_TABLES = {"calibration": calibration_tables, "strangeness": strangeness_tables}


def main(argv: Sequence[str] | None = None) -> int:
    """Do as the command line says; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.sure",
        description="Measure calibration, sets of labels and strangeness; print Markdown.",
        allow_abbrev=False,
    )
    parser.add_argument("what", choices=_TABLES)
    parser.add_argument(
        "directory", type=Path, metavar="DIR", help="directory of benchmarks.quality fetch"
    )

    def run() -> None:
        arguments = parser.parse_args(argv)
        machine = describe_machine(_PACKAGES)
        tables = _TABLES[arguments.what](arguments.directory)
        print(f"`{show_command('benchmarks.sure', argv)}`.\n{machine}\n")
        print(tables)

    return exit_status(run)


if __name__ == "__main__":
    sys.exit(main())

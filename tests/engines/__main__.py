"""python -m tests.engines ENGINE…: the same bytes from each engine, also when a worker is lost.

Each engine is a module of this package with a function `run_tests(logs, local)` that returns the
number of its tests.
"""

from __future__ import annotations

import argparse
import importlib
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from charseq.cli import exit_status
from deploy.support.processes import ROOT
from tests.engines.datasets import DATASETS, LocalDatasets

ENGINES = ("prism", "spark", "flink")
LOGS = ROOT / "build" / "engines"


def main() -> int:
    """Run the tests of the engines; 1 at the first that fails."""
    parser = argparse.ArgumentParser(prog="python -m tests.engines")
    parser.add_argument("engines", choices=ENGINES, nargs="+", metavar="ENGINE")
    parser.add_argument(
        "--only",
        choices=[dataset.name for dataset in DATASETS],
        nargs="+",
        metavar="DATASET",
        help="some of the datasets, instead of: %(choices)s",
    )
    flags = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    status = exit_status(lambda: _run_tests(flags.engines, flags.only))
    if status == 1:
        _print_ends_of_logs()
    return status


def _run_tests(engines: Sequence[str], only: Sequence[str] | None) -> None:
    passed = 0
    with tempfile.TemporaryDirectory() as folder:
        local = LocalDatasets(Path(folder), _new_folder(LOGS / "local"), only)
        for engine in engines:
            module = importlib.import_module(f"tests.engines.{engine}")
            passed += module.run_tests(_new_folder(LOGS / engine), local)
    print(f"{passed} passed, 0 failed")


def _new_folder(path: Path) -> Path:
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path


def _print_ends_of_logs() -> None:
    """The machine of a failed CI run is gone, and its logs with it."""
    for log in sorted(LOGS.glob("*/*.log")):
        print(f"== end of {log.name}", *log.read_text().splitlines()[-15:], sep="\n")


if __name__ == "__main__":
    sys.exit(main())

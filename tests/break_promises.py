"""python -m tests.break_promises: break each promise once, and see a test fail.

Exit status 1 if a broken promise goes unnoticed, or if a function to break is no longer there. The
promises are listed in tests/support/breakage.py; names on the command line select some of them.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.breakage import BREAKAGES, VARIABLE, Breakage
from tests.support.paths import ROOT

# Each has a TensorFlow of its own, as the processes of `make test` have.
_PROCESSES = int(os.environ.get("TEST_PROCESSES", "2"))


def main() -> int:
    """Break the promises one after the other; return 1 if one is broken unnoticed."""
    parser = argparse.ArgumentParser(prog="python -m tests.break_promises")
    names = [breakage.name for breakage in BREAKAGES]
    parser.add_argument("name", nargs="*", help=f"of {', '.join(names)} (default: all)")
    chosen = parser.parse_args().name or names
    if unknown := sorted(set(chosen) - set(names)):
        parser.error(f"got {', '.join(unknown)}, expected of {', '.join(names)}")
    selected = [breakage for breakage in BREAKAGES if breakage.name in chosen]
    with ThreadPoolExecutor(_PROCESSES) as pool:
        results = pool.map(run_broken, selected)
        noticed = [report(*each) for each in zip(selected, results, strict=True)]
    print(f"{sum(noticed)} of {len(noticed)} broken promises were noticed")
    return int(not all(noticed))


def report(breakage: Breakage, result: subprocess.CompletedProcess[str]) -> bool:
    """Print what came of a broken promise, and return whether a test noticed."""
    noticed = result.returncode == pytest.ExitCode.TESTS_FAILED
    print(f"{'noticed' if noticed else 'UNNOTICED'}: {breakage.promise}", flush=True)
    if not noticed:
        print(result.stdout[-2000:], result.stderr[-2000:], sep="\n", flush=True)
    return noticed


def run_broken(breakage: Breakage) -> subprocess.CompletedProcess[str]:
    """Run the tests of a breakage in a process that has it."""
    path, _, expression = breakage.tests.partition(" -k ")
    options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "tests.support.breakage"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, path, "-k", expression],
        cwd=ROOT,
        env={**os.environ, VARIABLE: breakage.name},
        capture_output=True,
        text=True,
        check=False,
    )


if __name__ == "__main__":
    sys.exit(main())

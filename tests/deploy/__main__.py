"""python -m tests.deploy: what deploy/ holds, given to the programs it is for, or to validators.

Each part is a module beside this one with `main() -> int`, 0 when all is as it should be; it says
itself on standard error what is not. Parts named on the command line are run, all without.
"""

from __future__ import annotations

import argparse
import importlib
import signal
import sys
import time
from pathlib import Path

PARTS = sorted(
    file.stem
    for file in Path(__file__).parent.glob("[!_]*.py")
    if not file.stem.startswith("test_")
)


def main() -> int:
    """Run the parts one after another, also after one that fails; 1 if one did."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    parser = argparse.ArgumentParser(prog="python -m tests.deploy")
    parser.add_argument("part", nargs="*", help=f"of {', '.join(PARTS)} (default: all)")
    parts = parser.parse_args().part or PARTS
    if unknown := sorted(set(parts) - set(PARTS)):
        parser.error(f"got {', '.join(unknown)}, expected of {', '.join(PARTS)}")
    failed = [part for part in parts if not _passes(part)]
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    print(f"{len(parts) - len(failed)} passed, {len(failed)} failed", flush=True)
    return int(bool(failed))


def _passes(part: str) -> bool:
    print(f"== {part}", flush=True)
    started = time.monotonic()
    status: int = importlib.import_module(f"tests.deploy.{part}").main()
    print(f"== {part}: {time.monotonic() - started:.1f} s, status {status}", flush=True)
    return status == 0


if __name__ == "__main__":
    sys.exit(main())

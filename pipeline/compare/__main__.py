"""python -m pipeline.compare: what changed from one dataset to another, or to files of rows."""

from __future__ import annotations

from charseq.process.signals import watch_signals

if __name__ == "__main__":
    watch_signals()  # Before the other imports, which take a moment.

import sys
from collections.abc import Sequence

from charseq.cli import exit_status, heavy_imports
from pipeline.compare.options import parse_command_line


def main(argv: Sequence[str] | None = None) -> int:
    """Compare as the command line says; return the exit status."""
    return exit_status(lambda: _compare(argv))


def _compare(argv: Sequence[str] | None) -> None:
    options, beam_flags = parse_command_line(argv)
    # Imported late: TensorFlow and Beam take seconds, and --help must not.
    with heavy_imports():
        from pipeline.compare.run import compare
        from pipeline.runtime.process import configure_process
    configure_process()
    compare(options, beam_flags)


if __name__ == "__main__":
    sys.exit(main())

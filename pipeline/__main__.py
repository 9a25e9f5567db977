"""python -m pipeline: text files to a dataset directory."""

from __future__ import annotations

from charseq.process.signals import watch_signals

if __name__ == "__main__":
    watch_signals()  # Before the other imports, which take a moment.

import sys
from collections.abc import Sequence

from charseq.cli import exit_status, heavy_imports
from pipeline.options import parse_command_line


def main(argv: Sequence[str] | None = None) -> int:
    """Prepare a dataset as the command line says; return the exit status."""
    return exit_status(lambda: _prepare(argv))


def _prepare(argv: Sequence[str] | None) -> None:
    options, beam_flags = parse_command_line(argv)
    # Imported late: TensorFlow and Beam take seconds, and --help must not.
    with heavy_imports():
        from pipeline.dataset.run import prepare
        from pipeline.estimate.run import plan
        from pipeline.runtime.process import configure_process
    configure_process()
    if options.planning.plan:
        plan(options, beam_flags)
    else:
        prepare(options, beam_flags)


if __name__ == "__main__":
    sys.exit(main())

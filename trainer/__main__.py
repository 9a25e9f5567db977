"""python -m trainer: a prepared dataset to a trained and exported model."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from trainer.config import parse_command_line
from trainer.errors import exit_status
from trainer.manifest import open_dataset
from trainer.run_directory import check_output
from trainer.startup import heavy_imports


def main(argv: Sequence[str] | None = None) -> int:
    """Train as the command line says; return the exit status."""
    return exit_status(lambda: _train(argv))


def _train(argv: Sequence[str] | None) -> None:
    config = parse_command_line(argv)
    with open_dataset(config.data) as manifest:
        manifest.require_rows("train")
        check_output(config.output, config.overwrite)
        # Imported late: TensorFlow takes seconds, and --help and these errors must not.
        with heavy_imports():
            from trainer.loop import train
        train(config, manifest)


if __name__ == "__main__":
    sys.exit(main())

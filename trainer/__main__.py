"""python -m trainer: a prepared dataset to a trained and exported model."""

from __future__ import annotations

from charseq.process.signals import watch_signals

if __name__ == "__main__":
    watch_signals()  # Before the other imports, which take a moment.

import sys
from collections.abc import Sequence
from dataclasses import replace

from charseq.cli import exit_status, heavy_imports
from charseq.console.messages import print_error
from charseq.files import directory_lock
from trainer.config import RESUME_REQUIRED, parse_command_line
from trainer.data.dataset import open_datasets
from trainer.owner import owned_directory
from trainer.parent import read_parent
from trainer.replacement import finish_replacement, is_replacement_interrupted, work_directory
from trainer.required_memory import check_memory
from trainer.run_checks import check_output, check_resumable, is_trained
from trainer.settings import resolve


def main(argv: Sequence[str] | None = None) -> int:
    """Train by the options of a command line; return the exit status."""
    return exit_status(lambda: _train(argv))


def _train(argv: Sequence[str] | None) -> None:
    config = parse_command_line(argv)
    with open_datasets(config.data) as whole:
        if whole.members:
            # In the order of the chain, so that no output depends on the order of the flags.
            config = replace(config, data=tuple(each.directory for each in whole.members))
        if config.exclude:
            from trainer.data.exclusion import exclude_rows  # Late, as it imports numpy.

            whole = exclude_rows(whole, config.exclude)
        dataset = whole.of_fold(config.fold)
        dataset.check_not_empty("train")
        if is_replacement_interrupted(config.output):
            with (
                directory_lock(config.output) as locked,
                owned_directory(config.output, locked=locked),
            ):
                finish_replacement(config.output)
        if dataset.excluded:
            print_error(dataset.excluded.describe())
        fingerprint = dataset.manifest.fingerprint
        parent = read_parent(config.from_) if config.from_ else None
        settings = resolve(config, dataset, parent)
        if not config.overwrite and is_trained(
            config, settings, fingerprint, parent, dataset.excluded
        ):
            print(
                f"{config.output} is already trained on this dataset with these options: nothing "
                f"to do; fingerprint of the dataset {fingerprint[:16]}"
            )
            return
        check_output(config.output, config.overwrite)
        check_memory(settings, dataset.manifest)
        if config.resume in RESUME_REQUIRED:
            check_resumable(work_directory(config.output), config.resume)
        # Imported late: TensorFlow takes seconds, and --help and these errors must not.
        with heavy_imports():
            from trainer.training.train import train
        train(config, dataset, parent)


if __name__ == "__main__":
    sys.exit(main())

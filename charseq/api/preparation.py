"""`charseq.prepare`: rows to a dataset."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from charseq.api.commands import run_command
from charseq.api.dataset import Dataset, local_path, open_dataset
from charseq.api.rows import as_input
from charseq.errors import UsageError


def prepare(
    rows_or_paths: Iterable[Any] | str | os.PathLike[str] | None,
    output: str | os.PathLike[str],
    **options: Any,
) -> Dataset:
    """Prepare a dataset, as `charseq prepare` does, in a process of its own; show its progress.

        charseq.prepare([("ACDEFGHIKL", "alpha"), ("MNPQRST", "beta"), …], "data/mine")
        charseq.prepare(frame, "data/mine", sequence_column="peptide", stratify=True)
        charseq.prepare("rows/*.csv", "data/mine", max_length="auto", alphabet_size="auto")

    The same call once more finds its dataset and does nothing; other rows or options in the same
    place are an error, unless `overwrite=True`.

    Args:
        rows_or_paths: pairs of a sequence and its label; or a pandas DataFrame with the columns
            `sequence` and `label`, and any that an option names; or a path, pattern or address, or
            several; or None, with `train_input=…` and the like.
        output: the local directory of the dataset.
        options: those of `charseq prepare --help`, with underscores for dashes: a list where it
            takes several values, True or False for a switch, `beam={"runner": …}` for flags of
            Beam.

    Returns:
        The dataset.

    Raises:
        UsageError: an option does not exist, or a value is not accepted.
        DataError: the rows cannot be used, or `output` holds something else; the message is that of
            the command.
        KeyboardInterrupt: it was interrupted; nothing is half-written.
    """
    if options.get("plan"):
        raise UsageError("plan: makes no dataset to open; ask the command, charseq prepare --plan")
    directory = local_path("output", output)
    with as_input(rows_or_paths) as paths:
        run_command("prepare", {**options, "input": paths or None, "output": directory})
    return open_dataset(directory)

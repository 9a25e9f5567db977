"""`charseq.train`: a dataset to a model."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from charseq.api.commands import run_command
from charseq.api.dataset import local_path
from charseq.api.model import Model, load_model

Path = str | os.PathLike[str]


def train(data: Path | Sequence[Path], output: Path, **options: Any) -> Model:
    """Train a model, as `charseq train` does, in a process of its own; show its progress.

        charseq.train(data, "runs/first", epochs=3, units=[64, 64])

    An interrupted training goes on from its newest checkpoint when it is called again. One that is
    complete is not repeated: the same call once more loads its model.

    Args:
        data: a dataset or its path, or several that add rows to each other.
        output: the local directory of the run.
        options: those of `charseq train --help`, with underscores for dashes, `from_` for `from`: a
            list where it takes several values, True or False for a switch.

    Returns:
        The model of the run, loaded.

    Raises:
        UsageError: an option does not exist, or a value is not accepted.
        DataError: the dataset cannot be used, the training diverged, or `output` holds something
            else; the message is that of the command.
        KeyboardInterrupt: it was interrupted; the newest checkpoint stays.
    """
    directory = local_path("output", output)
    run_command("train", {**options, "data": data_paths(data), "output": directory})
    return load_model(directory)


def data_paths(data: Path | Sequence[Path]) -> list[str]:
    """Return the paths of a dataset or of several."""
    if isinstance(data, (str, os.PathLike)):
        return [os.fsdecode(data)]
    return [os.fsdecode(each) for each in data]

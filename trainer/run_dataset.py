"""The dataset of a run: where it was, and where it is now."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from charseq.errors import DataError
from charseq.files import damage_as_data_error
from charseq.models.saved_model import RUN_FILE
from trainer.config import data_from_json
from trainer.data.dataset import Dataset, open_datasets
from trainer.run_directory import read_run_json


def training_data(directory: str) -> tuple[str, ...]:
    """Return where the dataset of a run was in its training.

    Raises:
        DataError: its `run.json` does not say so.
    """
    path = os.path.join(directory, RUN_FILE)
    with damage_as_data_error(path, f"a {RUN_FILE} of a training"):
        return data_from_json(read_run_json(path)["options"]["data"])


@contextmanager
def open_run_dataset(directory: str, data: tuple[str, ...], why: str) -> Iterator[Dataset]:
    """Open the dataset of a run.

    Args:
        directory: of the run.
        data: where it is now; () for where it was in the training.
        why: what is said of it if it is there no longer.

    Raises:
        DataError: it cannot be opened, or the `run.json` does not say where it was.
    """
    addresses = data or training_data(directory)
    with ExitStack() as stack:
        try:
            dataset = stack.enter_context(open_datasets(addresses))
        except DataError as error:
            if data:
                raise
            raise DataError(
                f"{error}; {directory} was trained on it, {why}: say with --data where it is now"
            ) from error
        yield dataset

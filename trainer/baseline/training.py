"""The n-gram baseline of a run, trained on rows of its train split."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from charseq.measures.gains import Ints
from trainer.baseline.linear import fit
from trainer.baseline.ngrams import Ngrams, distinct_ngrams
from trainer.baseline.saved import save_baseline
from trainer.data.dataset import Dataset
from trainer.data.id_rows import read_id_rows
from trainer.data.records import read_errors_as_data_error

# More rows, or more characters, would take longer than seconds; memory follows the characters.
MAX_ROWS = 200_000
MAX_CHARACTERS = 4_000_000

Weights = npt.NDArray[np.float32]


class BaselineTraining:
    """Trains the baseline of a run in a thread: compiling the model leaves cores idle.

    The rows are read before, as the shards of a store are not for two readers at once.

    Raises:
        DataError: a shard cannot be read.
    """

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        with read_errors_as_data_error(dataset):
            ngrams, labels, weights = read_ngrams(dataset)
        self._rows = len(labels)
        thread = ThreadPoolExecutor(max_workers=1)
        self._model = thread.submit(fit, ngrams, labels, len(dataset.manifest.labels), weights)
        thread.shutdown(wait=False)

    def save(self, directory: str) -> None:
        """Wait for the baseline and write it into the directory of the run.

        Raises:
            DataError: the dataset has been replaced meanwhile.
        """
        model = self._model.result()
        self._dataset.check_unchanged()
        save_baseline(directory, model)
        print(f"n-gram baseline: trained on {self._rows:,} rows", flush=True)


def read_ngrams(dataset: Dataset, max_rows: int = MAX_ROWS) -> tuple[Ngrams, Ints, Weights | None]:
    """Return n-grams, labels (rows,) and weights (rows,) of the first rows of the train split.

    The weights have a mean of 1 over the split; None if the records have none. Split and shard of
    a row follow from a hash, so the first rows are a fair sample.
    """
    ngrams, labels, weights = [], [], []
    rows = characters = 0
    for read in read_id_rows(dataset, max_rows):
        kept = np.cumsum(read.lengths) <= MAX_CHARACTERS - characters
        kept[max_rows - rows :] = False
        ngrams.append(distinct_ngrams(read.ids[kept], read.lengths[kept]))
        labels.append(read.labels[kept])
        if read.weights is not None:
            weights.append(read.weights[kept])
        rows, characters = rows + int(kept.sum()), characters + int(read.lengths.sum())
        if not kept.all():
            break
    together = Ngrams(*(np.concatenate(column) for column in zip(*ngrams, strict=True)))
    return together, np.concatenate(labels), np.concatenate(weights) if weights else None

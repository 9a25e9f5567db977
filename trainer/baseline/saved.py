"""`ngram_baseline.npz`: the baseline that a run keeps, at most 18 MB of up to 1,000 labels.

| array | shape | dtype |
|---|---|---|
| `format_version` | () | int64 |
| `buckets` | (n,), ascending: those with a vector, all others have zeros | int32 |
| `vectors` | (n, dimensions) | float16 |
| `matrix` | (dimensions, labels) | float16 |
| `bias` | (labels,) | float32 |
"""

from __future__ import annotations

import os

import numpy as np

from charseq.errors import DataError
from charseq.files import whole_file
from trainer.archives import ARCHIVE_DAMAGE
from trainer.baseline.linear import LinearModel
from trainer.baseline.ngrams import BUCKETS
from trainer.run_directory import NGRAM_BASELINE_FILE, Run

# Another one where n-grams have other buckets.
FORMAT_VERSION = 1
# Of an archive, and of arrays that do not fit together.
_DAMAGE = (*ARCHIVE_DAMAGE, IndexError)


def save_baseline(directory: str, model: LinearModel) -> None:
    """Write the baseline of a run into its directory, by a rename."""
    buckets = np.flatnonzero(model.vectors.any(axis=1)).astype(np.int32)
    with whole_file(os.path.join(directory, NGRAM_BASELINE_FILE)) as file:
        np.savez(
            file,
            allow_pickle=False,
            format_version=np.int64(FORMAT_VERSION),
            buckets=buckets,
            vectors=model.vectors[buckets].astype(np.float16),
            matrix=model.matrix.astype(np.float16),
            bias=model.bias,
        )


def load_baseline(run: Run) -> LinearModel | None:
    """Return the baseline of a run; None for a run of an earlier version, which has none.

    Raises:
        DataError: its file is damaged, of other labels, or of another version.
    """
    path = run.path(NGRAM_BASELINE_FILE)
    if not os.path.exists(path):
        return None
    try:
        return _read(path, len(run.labels))
    except _DAMAGE as error:
        raise DataError(
            f"{path}: damaged, or not the baseline of this run: {error}; train again, or remove "
            "it to evaluate without it"
        ) from error


def _read(path: str, num_labels: int) -> LinearModel:
    # Opened here, as numpy leaves a file open that is no archive.
    with open(path, "rb") as file, np.load(file) as archive:
        version = int(archive["format_version"])
        if version != FORMAT_VERSION:
            raise ValueError(f"got format version {version}, expected {FORMAT_VERSION}")
        matrix, bias = archive["matrix"].astype(np.float32), archive["bias"]
        if matrix.shape[1:] != (num_labels,) or bias.shape != (num_labels,):
            raise ValueError(f"got {len(bias)} labels, expected {num_labels}")
        vectors = np.zeros((BUCKETS, len(matrix)), np.float32)
        vectors[archive["buckets"]] = archive["vectors"]
    return LinearModel(vectors, matrix, bias)

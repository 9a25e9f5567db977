"""`parity.jsonl`: raw rows of a dataset with their features, to check that an export agrees."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from charseq.errors import DataError
from charseq.manifest import PARITY_FILE
from trainer.data.dataset import Dataset

# From raw text (rows,) string to ids (rows, max_length) int64 and lengths (rows,) int64.
Encode = Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]
# The pipeline's label id of a row whose label is not among those of the dataset.
_UNKNOWN_LABEL_ID = -1


@dataclass(frozen=True)
class Parity:
    """The rows of a `parity.jsonl`: raw, and their features as the pipeline computed them.

    sequences: (rows,) string, raw but for NFC, which no graph does.
    """

    path: str
    sequences: tf.Tensor
    _rows: tuple[dict[str, Any], ...]
    _labels: tuple[str, ...]

    @property
    def texts(self) -> tuple[str, ...]:
        """The sequences as the pipeline read them."""
        return tuple(row["sequence"] for row in self._rows)

    def replay(self, encode: Encode) -> None:
        """Check that `encode` gives the features that the pipeline computed.

        Raises:
            DataError: the ids, the length or the label id of a row differ.
        """
        ids, length = encode(self.sequences)
        for number, row in enumerate(self._rows, start=1):
            got = (ids[number - 1].numpy().tolist(), int(length[number - 1]), row["label_id"])
            expected = (row["ids"], row["length"], self._label_id(row["label"]))
            if got != expected:
                raise DataError(
                    f"{self.path}, line {number}: ids, length and label id of "
                    f"{row['sequence']!r}: got {got}, expected {expected}"
                )

    def _label_id(self, label: str) -> int:
        return self._labels.index(label) if label in self._labels else _UNKNOWN_LABEL_ID


def read_parity(dataset: Dataset) -> Parity:
    """Read the `parity.jsonl` of a dataset.

    Raises:
        DataError: the dataset has none.
    """
    path = dataset.display_path(PARITY_FILE)
    if dataset.files.size(PARITY_FILE) is None:
        raise DataError(f"{path}: no such file, but without it no export can be checked")
    with open(dataset.verified_path(PARITY_FILE), encoding="utf-8") as file:
        rows = tuple(json.loads(line) for line in file)
    texts = dataset.manifest.normalization.before_graph([row["sequence"] for row in rows])
    return Parity(path, tf.constant(texts, tf.string), rows, dataset.manifest.labels)

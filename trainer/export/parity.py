"""`parity.jsonl`: raw rows and what the preparation made of them, to be made of them again."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from charseq.errors import DataError
from trainer.data.manifest import Manifest

_PARITY_FILE = "parity.jsonl"

# Raw texts (rows,) string to ids (rows, max_length) int64 and lengths (rows,) int64.
Encode = Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


@dataclass(frozen=True)
class Parity:
    """Some rows of a dataset, raw, and their features as the pipeline computed them.

    sequences: (rows,) string.
    """

    path: str
    sequences: tf.Tensor
    _rows: tuple[dict[str, Any], ...]
    _labels: tuple[str, ...]

    def replay(self, encode: Encode) -> None:
        """Encode the rows again.

        Raises:
            DataError: a row has other ids, another length or another label than were written.
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
        return self._labels.index(label) if label in self._labels else -1


def read_parity(manifest: Manifest) -> Parity:
    """Read the parity rows of a dataset.

    Raises:
        DataError: it has none.
    """
    path = manifest.name(_PARITY_FILE)
    if manifest.files.size(_PARITY_FILE) is None:
        raise DataError(f"{path}: no such file, but without it no export can be checked")
    with open(manifest.path(_PARITY_FILE), encoding="utf-8") as file:
        rows = tuple(json.loads(line) for line in file)
    sequences = tf.constant([row["sequence"] for row in rows], tf.string)
    return Parity(path, sequences, rows, manifest.labels)

"""The check of an export: `onnxruntime` must answer as Keras does, and `encode.py` as the pipeline.

All is read from the files that were written, as their users read them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
import tensorflow as tf

from charseq.console.terminal import escape_terminal
from charseq.errors import DataError
from charseq.models.saved_model import IDS, LENGTH, PROBABILITIES, PROBABILITY_TOLERANCE
from charseq.process.machine import cpu_count
from trainer.export.parity import Parity
from trainer.onnx.encode import encode
from trainer.onnx.files import ALPHABET_FILE, MODEL_FILE

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
# From ids (rows, max_length) and lengths (rows,) to probabilities (rows, labels).
Classify = Callable[[Ints, Ints], Floats]

_MAX_ROWS_AT_ONCE = 256
# Of the language models' counts: rows · characters · labels.
_MAX_COUNTS_AT_ONCE = 4_000_000
_ERROR = 3  # Of onnxruntime's levels; lower ones are notes about the machine.
_SHOWN_WIDTH = 60


def verify(directory: str, parity: Parity, expected: Classify) -> float:
    """Check an export by every row of `parity.jsonl`.

    The first row is also asked for alone.

    Args:
        directory: of the export.
        parity: rows of the dataset that the model was trained on.
        expected: what Keras computes.

    Returns:
        The largest difference between two probabilities.

    Raises:
        DataError: a row has other ids than the pipeline gave it, or other probabilities than those
            of Keras.
    """
    with open(os.path.join(directory, ALPHABET_FILE), encoding="utf-8") as file:
        alphabet = json.load(file)
    rows, lengths = encode(parity.texts, alphabet)
    parity.replay(lambda _: (tf.constant(rows, tf.int64), tf.constant(lengths, tf.int64)))
    ids, length = np.array(rows, np.int64), np.array(lengths, np.int64)
    path = os.path.join(directory, MODEL_FILE)
    classify = load(path)
    labels = alphabet["labels"]
    size = max(_MAX_COUNTS_AT_ONCE // (ids.shape[1] * len(labels)), 1)
    size = min(size, _MAX_ROWS_AT_ONCE)
    parts = [slice(0, 1), *(slice(start, start + size) for start in range(0, len(ids), size))]
    largest = 0.0
    for part in parts:
        got, wanted = (each(ids[part], length[part]) for each in (classify, expected))
        difference = np.abs(got - wanted)
        # Not `>`: it is false for what is not a number.
        if not (difference <= PROBABILITY_TOLERANCE).all():
            row, label = np.unravel_index(difference.argmax(), difference.shape)
            raise DataError(
                f"{path}: for line {part.start + row + 1} of {parity.path} onnxruntime gives the "
                f"probability {got[row, label]} of {escape_terminal(labels[label], _SHOWN_WIDTH)}, "
                f"expected {wanted[row, label]} within {PROBABILITY_TOLERANCE:g}: this is not to "
                "be used"
            )
        largest = max(largest, float(difference.max()))
    return largest


def load(path: str) -> Classify:
    """Return what a file of ONNX computes, on the CPU."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERROR
    options.intra_op_num_threads = cpu_count()
    # As bytes, since it would take a path for UTF-8.
    session = onnxruntime.InferenceSession(
        Path(path).read_bytes(), options, providers=["CPUExecutionProvider"]
    )

    def classify(ids: Ints, length: Ints) -> Floats:
        [probabilities] = session.run([PROBABILITIES], {IDS: ids, LENGTH: length})
        answer: Floats = probabilities
        return answer

    return classify

"""A loaded model, and its predictions for a column of sequences."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf

from charseq.errors import DataError
from charseq.models.saved_model import (
    CLASSIFY,
    ENCODE,
    IDS,
    LABEL,
    LENGTH,
    PROBABILITY,
    SEQUENCE,
    load_saved_model,
)
from pipeline.predict.characters import CharacterCounts, add_characters, count_characters
from pipeline.predict.model import Model, read_model
from pipeline.runtime.filesystems import local_tree

# A batch is as long as its longest sequence, so a column is sorted by length before it is cut.
# Of 256 to 4096, sequences per CPU second were most at 512.
_BATCH_ROWS = 512
_ENCODED_BYTES = 4 << 20


class Predictions(NamedTuple):
    """The predictions for n sequences: label (n,) string, and its probability (n,) float32."""

    label: pa.StringArray
    probability: npt.NDArray[np.float32]


# Threads that need the model at the same time wait for one of them to fetch and load it.
_load_lock = threading.Lock()


def load_classifier(model: Model, trust_model: bool = False) -> Classifier:
    """Return the loaded model; it is loaded once in a process.

    Args:
        model: what to load.
        trust_model: load it even if it does more than compute.

    Raises:
        DataError: it cannot be loaded, is no longer as `model` says, does more than compute, or
            does not predict labels.
    """
    with _load_lock:
        return _load(model, trust_model)


@lru_cache(maxsize=1)
def _load(model: Model, trust_model: bool) -> Classifier:
    if read_model(model.directory) != model:
        raise DataError(f"{model.directory}: the model changed while it was used")
    with local_tree(model.directory) as local:
        loaded = load_saved_model(local, model.directory, trust_model)
    _check_signature(model.directory, loaded, CLASSIFY, (LABEL, PROBABILITY))
    _check_signature(model.directory, loaded, ENCODE, (IDS, LENGTH))
    return Classifier(model, loaded)


def _check_signature(directory: str, loaded: Any, name: str, expected: Sequence[str]) -> None:
    """Check that a loaded model has a signature with the input and outputs that are used here.

    Raises:
        DataError: it does not.
    """
    signature = loaded.signatures.get(name)
    inputs = {} if signature is None else signature.structured_input_signature[1]
    outputs = {} if signature is None else signature.structured_outputs
    if set(inputs) != {SEQUENCE} or not set(expected) <= set(outputs):
        raise DataError(
            f"{directory}: signature {name} takes {sorted(inputs)} and gives "
            f"{sorted(outputs)}; expected to take ['{SEQUENCE}'] and to give "
            f"{' and '.join(map(repr, expected))}"
        )


class Classifier:
    """A loaded model; several threads may use it at once."""

    def __init__(self, model: Model, loaded: Any) -> None:
        self._model = model
        self._directory = model.directory
        self._loaded = loaded  # The lookup tables of its graph live as long as it.

    def classify(self, sequence: pa.StringArray) -> Predictions:
        """Return the predictions for a column of n sequences, in its order.

        Raises:
            DataError: the model fails, or gives something that is not a probability.
        """
        order = np.argsort(pc.utf8_length(sequence).to_numpy(), kind="stable")
        texts = sequence.cast(pa.binary()).to_numpy(zero_copy_only=False)[order]
        label = np.empty(len(texts), object)
        probability = np.empty(len(texts), np.float32)
        for start in range(0, len(texts), _BATCH_ROWS):
            rows = order[start : start + _BATCH_ROWS]
            label[rows], probability[rows] = self._run(texts[start : start + _BATCH_ROWS])
        self._check_probability(probability)
        return Predictions(pa.array(label, pa.binary()).cast(pa.string()), probability)

    def _run(
        self, texts: npt.NDArray[np.object_]
    ) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.float32]]:
        """Return label (n,) bytes and probability (n,) of n texts in UTF-8."""
        outputs = self._call(CLASSIFY, texts)
        return outputs[LABEL].numpy(), outputs[PROBABILITY].numpy()

    def _call(self, signature: str, texts: npt.NDArray[np.object_]) -> Mapping[str, tf.Tensor]:
        """Return the outputs of a signature for n texts in UTF-8."""
        try:
            outputs: Mapping[str, tf.Tensor] = self._loaded.signatures[signature](
                **{SEQUENCE: tf.constant(texts)}
            )
        except tf.errors.OpError as error:
            raise DataError(f"{self._directory}: the model fails: {_first_line(error)}") from error
        return outputs

    def count_characters(self, sequence: pa.StringArray) -> CharacterCounts:
        """Return how many characters of a column of n sequences the model does not know.

        Raises:
            DataError: the model fails.
        """
        rows = max(1, _ENCODED_BYTES // (8 * self._model.max_length))
        return add_characters(
            self._count_characters(sequence.slice(start, rows))
            for start in range(0, len(sequence), rows)
        )

    def _count_characters(self, sequence: pa.StringArray) -> CharacterCounts:
        texts = sequence.cast(pa.binary()).to_numpy(zero_copy_only=False)
        outputs = self._call(ENCODE, texts)
        ids, length = outputs[IDS].numpy(), outputs[LENGTH].numpy()
        return count_characters(sequence, ids, length, self._model.unknown_id)

    def _check_probability(self, probability: npt.NDArray[np.float32]) -> None:
        wrong = probability[~((probability >= 0) & (probability <= 1))]
        if len(wrong):
            raise DataError(
                f"{self._directory}: the model gives {wrong[0]} where 0 to 1 was expected"
            )


def _first_line(error: Exception) -> str:
    text = error.message if isinstance(error, tf.errors.OpError) else str(error)
    return next(iter(str(text).strip().splitlines()), type(error).__name__)

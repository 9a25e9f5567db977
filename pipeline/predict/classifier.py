"""An exported model: which one it is, and its answers for a column of sequences."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf
from apache_beam.io.filesystems import FileSystems

from charseq.errors import DataError
from charseq.files import FileDigest
from pipeline.runtime.filesystems import digest_file, list_tree, local_tree, open_file

_SIGNATURE = "serving_default"
_SAVED_MODEL = "saved_model.pb"
_DATASET = "assets/dataset.json"
# A batch is as long as its longest sequence, so a column is sorted by length before it is cut.
# Of 256 to 4096, sequences per CPU second were most at 512.
_BATCH_ROWS = 512


@dataclass(frozen=True)
class Model:
    """A SavedModel directory, known by its content.

    fingerprint: of the dataset that it was trained on. max_length: what it cuts sequences at.
    files: all it consists of, by their path in `directory`.
    """

    directory: str
    fingerprint: str
    max_length: int
    files: tuple[FileDigest, ...]


class Answers(NamedTuple):
    """For n sequences: label (n,) string, and its probability (n,) float32."""

    label: pa.StringArray
    probability: npt.NDArray[np.float32]


def read_model(directory: str) -> Model:
    """Look into a SavedModel directory, and read all of it once.

    Raises:
        DataError: it is none, or has no `assets/dataset.json` that tells what it was trained on.
    """
    directory = directory.rstrip("/")
    if not FileSystems.exists(FileSystems.join(directory, _SAVED_MODEL)):
        raise DataError(f"{directory} holds no {_SAVED_MODEL}: not a SavedModel{_hint(directory)}")
    paths = {path[len(directory) + 1 :]: path for path in list_tree(directory)}
    if _DATASET not in paths:
        raise DataError(f"{directory} holds no {_DATASET}: not a model that the trainer exported")
    try:
        with open_file(paths[_DATASET]) as file:
            dataset = json.load(file)
        fingerprint, max_length = str(dataset["fingerprint"]), int(dataset["max_length"])
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{paths[_DATASET]}: not the manifest of a dataset: {error!r}") from error
    files = tuple(digest_file(path, name) for name, path in sorted(paths.items()))
    return Model(directory, fingerprint, max_length, files)


def _hint(directory: str) -> str:
    """The model that may have been meant: that of a run, or the newest version of a registry."""
    below = FileSystems.match([FileSystems.join(directory, "*", _SAVED_MODEL)])[0].metadata_list
    models = [FileSystems.split(found.path)[0].rstrip("/") for found in below]
    newest = max(models, key=lambda path: (len(path), path), default=None)
    return "" if newest is None else f"; did you mean --model {newest}?"


# Threads that come at once wait for one to fetch and load it.
_loading = threading.Lock()


def load_classifier(model: Model) -> Classifier:
    """The model, ready to be asked; loaded once in a process.

    Raises:
        DataError: it cannot be loaded, is no longer what it was, or does not tell labels.
    """
    with _loading:
        return _load(model)


@lru_cache(maxsize=1)
def _load(model: Model) -> Classifier:
    if read_model(model.directory) != model:
        raise DataError(f"{model.directory}: the model changed while it was used")
    try:
        with local_tree(model.directory) as local:
            loaded = tf.saved_model.load(local)
    except (OSError, ValueError, tf.errors.OpError) as error:
        raise DataError(f"{model.directory}: cannot be loaded: {_first_line(error)}") from error
    ask = loaded.signatures.get(_SIGNATURE)
    takes = {} if ask is None else ask.structured_input_signature[1]
    gives = {} if ask is None else ask.structured_outputs
    if set(takes) != {"sequence"} or not {"label", "probability"} <= set(gives):
        raise DataError(
            f"{model.directory}: signature {_SIGNATURE} takes {sorted(takes)} and gives "
            f"{sorted(gives)}; expected to take ['sequence'] and to give 'label' and 'probability'"
        )
    return Classifier(model.directory, loaded, ask)


class Classifier:
    """A loaded model; several threads may ask it at once."""

    def __init__(self, directory: str, loaded: Any, ask: Callable[..., Any]) -> None:
        self._directory = directory
        self._loaded = loaded  # The tables of its graph live as long as it.
        self._ask = ask

    def classify(self, sequence: pa.StringArray) -> Answers:
        """The answers for a column of n sequences, in its order.

        Raises:
            DataError: the model fails, or gives something that is not a probability.
        """
        order = np.argsort(pc.utf8_length(sequence).to_numpy(), kind="stable")
        texts = sequence.cast(pa.binary()).to_numpy(zero_copy_only=False)[order]
        label = np.empty(len(texts), object)
        probability = np.empty(len(texts), np.float32)
        for start in range(0, len(texts), _BATCH_ROWS):
            places = order[start : start + _BATCH_ROWS]
            label[places], probability[places] = self._answer(texts[start : start + _BATCH_ROWS])
        if not ((probability >= 0) & (probability <= 1)).all():
            wrong = probability[~((probability >= 0) & (probability <= 1))][0]
            raise DataError(f"{self._directory}: the model gives {wrong} where 0 to 1 was expected")
        return Answers(pa.array(label, pa.binary()).cast(pa.string()), probability)

    def _answer(
        self, texts: npt.NDArray[np.object_]
    ) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.float32]]:
        try:
            answer = self._ask(sequence=tf.constant(texts))
        except tf.errors.OpError as error:
            raise DataError(f"{self._directory}: the model fails: {_first_line(error)}") from error
        return answer["label"].numpy(), answer["probability"].numpy()


def _first_line(error: Exception) -> str:
    text = error.message if isinstance(error, tf.errors.OpError) else str(error)
    return next(iter(str(text).strip().splitlines()), type(error).__name__)

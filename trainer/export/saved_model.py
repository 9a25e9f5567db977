"""The exports of a run: `model.keras`, and a SavedModel that takes raw strings.

The SavedModel is checked before it gets its final name: it must encode the rows of `parity.jsonl`
as the pipeline did, and predict the probabilities for them that the Keras model predicts.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from charseq.errors import DataError
from charseq.manifest import MANIFEST_FILE, TRANSFORM_GRAPH_DIR, Manifest
from charseq.saved_model import (
    CLASSIFY,
    DATASET_ASSET,
    ENCODE,
    IDS,
    LABEL,
    LABELS,
    LENGTH,
    PROBABILITIES,
    PROBABILITY,
    RUN_ASSET,
    SEQUENCE,
    TOP_K,
    K,
)
from trainer.data.dataset import Dataset
from trainer.data.representation import represent
from trainer.export.inference import forward
from trainer.export.parity import Parity, read_parity
from trainer.run_directory import MODEL_FILE, SAVED_MODEL, unfinished_run_file

# Of probabilities: how far float32 sums may differ when their terms are added in another order.
_TOLERANCE = 1e-5

_TEXTS = tf.TensorSpec([None], tf.string, name=SEQUENCE)


class TextEncoder(tf.Module):
    """Raw text to ids, by the transform graph that encoded the records of a dataset.

    Raises:
        DataError: the dataset has no graph, or the graph does not reproduce `parity.jsonl`.
    """

    def __init__(self, dataset: Dataset) -> None:
        super().__init__()
        path = dataset.path(TRANSFORM_GRAPH_DIR)
        if not tf.saved_model.contains_saved_model(path):
            where = dataset.display_path(TRANSFORM_GRAPH_DIR)
            raise DataError(f"{where}: no transform graph, expected a SavedModel")
        # Kept as an attribute: what is exported must own the tables of the graph that it calls.
        self._transform = tf.saved_model.load(path)
        read_parity(dataset).replay(self.encode)

    def encode(self, text: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the ids (batch, max_length) int64 and lengths (batch,) int64 of (batch,) string.

        No record has length 0, but a client may send an empty string: it becomes one padding.
        """
        labels = tf.fill(tf.shape(text), "")
        encoded = self._transform.transform_fn({"sequence": text, "label": labels})
        return encoded["sequence"], tf.maximum(encoded["length"], 1)


class TextClassifier(tf.Module):
    """Raw text to labels: the encoder, the representation and the model in one.

    The names of attributes and methods are part of the exported graph.
    """

    def __init__(
        self, encoder: TextEncoder, model: keras.Model, representation: str, manifest: Manifest
    ) -> None:
        super().__init__()
        self._encoder = encoder
        # The model is hidden in a function, which tf.Module does not track. Of a tracked Keras
        # model each variable is saved twice, as Keras's and as TensorFlow's inside it. A session,
        # such as TensorFlow Serving's, restores one of them and reads the other;
        # tf.saved_model.load copes with both.
        self._model: Callable[[], Any] = lambda: model
        self._weights = [variable.value for variable in model.weights]
        self._representation = representation
        self._alphabet_size = manifest.alphabet_size
        self._labels = tf.constant(manifest.labels)

    def signatures(self) -> dict[str, tf.types.experimental.PolymorphicFunction]:
        """Return the signatures of the SavedModel, by name; see `charseq.saved_model`."""
        return {CLASSIFY: self.classify, TOP_K: self.top_k, ENCODE: self.encode}

    @tf.function(input_signature=[_TEXTS])
    def classify(self, sequence: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return the most probable label of each text (batch,) string, and all probabilities.

        Returns:
            `label` (batch,) string, its `probability` (batch,) float32, and `probabilities`
            (batch, labels) float32, in the order of the manifest's labels.
        """
        probabilities = self._probabilities(sequence)
        return {
            LABEL: tf.gather(self._labels, tf.argmax(probabilities, axis=1)),
            PROBABILITY: tf.reduce_max(probabilities, axis=1),
            PROBABILITIES: probabilities,
        }

    @tf.function(input_signature=[_TEXTS, tf.TensorSpec([], tf.int32, name=K)])
    def top_k(self, sequence: tf.Tensor, k: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return the k most probable labels of each text, the most probable first.

        Args:
            sequence: (batch,) string.
            k: () int32; where there are fewer labels, all are returned.

        Returns:
            `labels` (batch, k) string and their `probabilities` (batch, k) float32.
        """
        probabilities = self._probabilities(sequence)
        best = tf.math.top_k(probabilities, tf.minimum(k, tf.size(self._labels)))
        return {LABELS: tf.gather(self._labels, best.indices), PROBABILITIES: best.values}

    @tf.function(input_signature=[_TEXTS])
    def encode(self, sequence: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return `ids` (batch, max_length) int64 and `length` (batch,) int64 of (batch,) string."""
        ids, length = self._encoder.encode(sequence)
        return {IDS: ids, LENGTH: length}

    def keras_probabilities(self, sequence: tf.Tensor) -> tf.Tensor:
        """Return the probabilities (batch, labels) that Keras computes for (batch,) string."""
        inputs, length = self._model_inputs(sequence)
        return self._model()({"sequence": inputs, "length": length}, training=False)

    def _probabilities(self, sequence: tf.Tensor) -> tf.Tensor:
        # `forward` computes in float32 only.
        if self._model().get_layer("lstm_1").compute_dtype != "float32":
            return self.keras_probabilities(sequence)
        return forward(self._model(), *self._model_inputs(sequence))

    def _model_inputs(self, sequence: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the model's inputs `sequence` and `length` for raw text (batch,) string."""
        ids, length = self._encoder.encode(sequence)
        return represent(ids, self._representation, self._alphabet_size), length


def export(
    directory: str,
    model: keras.Model,
    encoder: TextEncoder,
    representation: str,
    dataset: Dataset,
) -> None:
    """Write `model.keras` and `saved_model/` into the directory of a run, each by a rename.

    Where directories cannot be renamed, as in a mounted bucket, their files move one by one.

    Raises:
        DataError: the SavedModel does not agree with the encoder and the model.
    """
    _save_keras_model(directory, model)
    unfinished = os.path.join(directory, f"{SAVED_MODEL}.tmp")
    final = os.path.join(directory, SAVED_MODEL)
    for path in (unfinished, final):  # An earlier export may have been cut short.
        shutil.rmtree(path, ignore_errors=True)
    classifier = TextClassifier(encoder, model, representation, dataset.manifest)
    tf.saved_model.save(classifier, unfinished, classifier.signatures())
    shutil.copyfile(dataset.path(MANIFEST_FILE), os.path.join(unfinished, DATASET_ASSET))
    shutil.copyfile(unfinished_run_file(directory), os.path.join(unfinished, RUN_ASSET))
    check_export(unfinished, classifier, read_parity(dataset))
    shutil.move(unfinished, final)


def _save_keras_model(directory: str, model: keras.Model) -> None:
    unfinished = os.path.join(directory, "model.tmp.keras")
    model.save(unfinished)
    os.replace(unfinished, os.path.join(directory, MODEL_FILE))


def check_export(path: str, classifier: TextClassifier, parity: Parity) -> None:
    """Check that a SavedModel, loaded as a server does, agrees with `classifier`.

    Raises:
        DataError: it encodes a row of `parity.jsonl` differently from the pipeline, or predicts
            other probabilities for it than the Keras model.
    """
    outputs = _run_in_session(path, parity.sequences.numpy())
    encoded = {name: tf.constant(values) for name, values in outputs[ENCODE].items()}
    parity.replay(lambda _: (encoded[IDS], encoded[LENGTH]))
    got = outputs[CLASSIFY][PROBABILITIES]
    expected = classifier.keras_probabilities(parity.sequences).numpy()
    wrong = np.flatnonzero(~np.isclose(got, expected, atol=_TOLERANCE).all(axis=1))
    if wrong.size:
        raise DataError(
            f"{path}: for line {wrong[0] + 1} of {parity.path} it gives the probabilities "
            f"{got[wrong[0]]}, expected {expected[wrong[0]]}: this is not to be served"
        )


def _run_in_session(
    path: str, sequences: npt.NDArray[np.object_]
) -> dict[str, Mapping[str, npt.NDArray[Any]]]:
    """Return the outputs of two signatures of a SavedModel, by signature and name.

    They run in a session, as in TensorFlow Serving: `tf.saved_model.load` also loads models that a
    session cannot run.
    """
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        graph = tf.compat.v1.saved_model.load(session, [tf.saved_model.SERVING], path)
        signatures = {name: graph.signature_def[name] for name in (ENCODE, CLASSIFY)}
        return {
            name: session.run(
                {output: info.name for output, info in signature.outputs.items()},
                {signature.inputs[SEQUENCE].name: sequences},
            )
            for name, signature in signatures.items()
        }

"""What leaves a run: `model.keras`, and a SavedModel that takes raw strings.

The SavedModel is checked before it gets its name: it must encode the rows of `parity.jsonl` as the
pipeline did, and give them the probabilities that the model gives.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from charseq.errors import DataError
from trainer.data.batches import represent
from trainer.data.manifest import MANIFEST_FILE, Manifest
from trainer.export.inference import forward
from trainer.export.parity import Parity, read_parity
from trainer.run_directory import MODEL_FILE, RUN_FILE, SAVED_MODEL, unfinished_run_file

_TRANSFORM = "transform/transform_fn"
_ASSETS = "assets"
# Of probabilities: what float32 sums may differ by when their terms come in another order.
_TOLERANCE = 1e-5

_TEXTS = tf.TensorSpec([None], tf.string, name="sequence")


class TextEncoder(tf.Module):
    """Raw text to ids, with the transform graph that wrote the ids of a dataset.

    Raises:
        DataError: the graph is not there, or does not give the ids of `parity.jsonl`.
    """

    def __init__(self, manifest: Manifest) -> None:
        super().__init__()
        path = manifest.path(_TRANSFORM)
        if not tf.saved_model.contains_saved_model(path):
            where = manifest.name(_TRANSFORM)
            raise DataError(f"{where}: no transform graph, expected a SavedModel")
        # Kept as an attribute: what is exported must own the tables of the graph that it calls.
        self._transform = tf.saved_model.load(path)
        read_parity(manifest).replay(self.encode)

    def encode(self, text: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """(batch,) string to ids (batch, max_length) int64 and lengths (batch,) int64.

        Records have no length 0, but a client may send an empty string: it becomes one padding.
        """
        labels = tf.fill(tf.shape(text), "")
        encoded = self._transform.transform_fn({"sequence": text, "label": labels})
        return encoded["sequence"], tf.maximum(encoded["length"], 1)


class TextClassifier(tf.Module):
    """Raw text to labels: the encoder, the representation and the model in one."""

    def __init__(
        self, encoder: TextEncoder, model: keras.Model, representation: str, manifest: Manifest
    ) -> None:
        super().__init__()
        self._encoder = encoder
        # In a function, which is not tracked: of a Keras model each variable would be saved twice,
        # Keras's and TensorFlow's inside it. A session, as TensorFlow Serving's, restores one and
        # reads the other; tf.saved_model.load does not mind.
        self._model: Callable[[], Any] = lambda: model
        self._weights = [variable.value for variable in model.weights]
        self._representation = representation
        self._alphabet_size = manifest.alphabet_size
        self._labels = tf.constant(manifest.labels)

    def signatures(self) -> dict[str, tf.types.experimental.PolymorphicFunction]:
        """What the SavedModel can be asked, by name."""
        return {"serving_default": self.classify, "top_k": self.top_k, "encode": self.encode}

    @tf.function(input_signature=[_TEXTS])
    def classify(self, sequence: tf.Tensor) -> dict[str, tf.Tensor]:
        """(batch,) string to the most probable label of each, and how probable all of them are.

        Returns:
            `label` (batch,) string, `probability` of it (batch,) float32, and `probabilities`
            (batch, labels) float32, in the order of the manifest's labels.
        """
        probabilities = self._probabilities(sequence)
        return {
            "label": tf.gather(self._labels, tf.argmax(probabilities, axis=1)),
            "probability": tf.reduce_max(probabilities, axis=1),
            "probabilities": probabilities,
        }

    @tf.function(input_signature=[_TEXTS, tf.TensorSpec([], tf.int32, name="k")])
    def top_k(self, sequence: tf.Tensor, k: tf.Tensor) -> dict[str, tf.Tensor]:
        """(batch,) string to the k most probable labels of each, the most probable first.

        k: all labels if there are fewer.

        Returns:
            `labels` (batch, k) string and `probabilities` of them (batch, k) float32.
        """
        probabilities = self._probabilities(sequence)
        best = tf.math.top_k(probabilities, tf.minimum(k, tf.size(self._labels)))
        return {"labels": tf.gather(self._labels, best.indices), "probabilities": best.values}

    @tf.function(input_signature=[_TEXTS])
    def encode(self, sequence: tf.Tensor) -> dict[str, tf.Tensor]:
        """(batch,) string to `ids` (batch, max_length) int64 and `length` (batch,) int64."""
        ids, length = self._encoder.encode(sequence)
        return {"ids": ids, "length": length}

    def ask_model(self, sequence: tf.Tensor) -> tf.Tensor:
        """(batch,) string to the probabilities (batch, labels) that Keras computes."""
        ids, length = self._encoder.encode(sequence)
        inputs = represent(ids, self._representation, self._alphabet_size)
        return self._model()({"sequence": inputs, "length": length}, training=False)

    def _probabilities(self, sequence: tf.Tensor) -> tf.Tensor:
        if self._model().get_layer("lstm_1").compute_dtype != "float32":
            return self.ask_model(sequence)
        ids, length = self._encoder.encode(sequence)
        inputs = represent(ids, self._representation, self._alphabet_size)
        return forward(self._model(), inputs, length)


def export(
    directory: str,
    model: keras.Model,
    encoder: TextEncoder,
    representation: str,
    manifest: Manifest,
) -> None:
    """Write `model.keras` and `saved_model/` into a run's directory, each by a rename.

    Where directories cannot be renamed, as in a mounted bucket, their files move one by one.

    Raises:
        DataError: the SavedModel does not give what the encoder and the model give.
    """
    unfinished = os.path.join(directory, "model.tmp.keras")
    model.save(unfinished)
    os.replace(unfinished, os.path.join(directory, MODEL_FILE))

    unfinished = os.path.join(directory, f"{SAVED_MODEL}.tmp")
    final = os.path.join(directory, SAVED_MODEL)
    for path in (unfinished, final):  # Of an export that was cut short.
        shutil.rmtree(path, ignore_errors=True)
    classifier = TextClassifier(encoder, model, representation, manifest)
    tf.saved_model.save(classifier, unfinished, classifier.signatures())
    assets = os.path.join(unfinished, _ASSETS)
    shutil.copyfile(manifest.path(MANIFEST_FILE), os.path.join(assets, MANIFEST_FILE))
    shutil.copyfile(unfinished_run_file(directory), os.path.join(assets, RUN_FILE))
    check_export(unfinished, classifier, read_parity(manifest))
    shutil.move(unfinished, final)


def check_export(path: str, classifier: TextClassifier, parity: Parity) -> None:
    """Load a SavedModel as a server does, and let it answer the rows of `parity.jsonl`.

    Raises:
        DataError: it encodes one otherwise than the pipeline, or gives it other probabilities than
            the model of `classifier`.
    """
    answers = _answers_of_server(path, parity.sequences.numpy())
    encoded = {name: tf.constant(values) for name, values in answers["encode"].items()}
    parity.replay(lambda _: (encoded["ids"], encoded["length"]))
    got = answers["serving_default"]["probabilities"]
    expected = classifier.ask_model(parity.sequences).numpy()
    wrong = np.flatnonzero(~np.isclose(got, expected, atol=_TOLERANCE).all(axis=1))
    if wrong.size:
        raise DataError(
            f"{path}: for line {wrong[0] + 1} of {parity.path} it gives the probabilities "
            f"{got[wrong[0]]}, expected {expected[wrong[0]]}: this is not to be served"
        )


def _answers_of_server(
    path: str, sequences: npt.NDArray[np.object_]
) -> dict[str, dict[str, npt.NDArray[Any]]]:
    """What a SavedModel answers in a session, as TensorFlow Serving's is, by signature and output.

    `tf.saved_model.load` passes over what a session would trip over.
    """
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        graph = tf.compat.v1.saved_model.load(session, [tf.saved_model.SERVING], path)
        signatures = {name: graph.signature_def[name] for name in ("encode", "serving_default")}
        return {
            name: session.run(
                {output: info.name for output, info in signature.outputs.items()},
                {signature.inputs["sequence"].name: sequences},
            )
            for name, signature in signatures.items()
        }

"""What leaves a run: `model.keras`, and a SavedModel that takes raw strings."""

from __future__ import annotations

import json
import os
from typing import Any

import keras
import tensorflow as tf

from trainer.dataset import represent
from trainer.errors import DataError
from trainer.manifest import Manifest
from trainer.run_directory import MODEL_FILE, SAVED_MODEL

_TRANSFORM = "transform/transform_fn"
_PARITY_FILE = "parity.jsonl"


class TextEncoder(tf.Module):
    """Raw text to ids, with the transform graph that wrote the ids of a dataset.

    Raises:
        DataError: the graph is not there, or does not give the ids of `parity.jsonl`.
    """

    def __init__(self, manifest: Manifest) -> None:
        super().__init__()
        path = manifest.path(_TRANSFORM)
        if not tf.saved_model.contains_saved_model(path):
            raise DataError(f"{path}: no transform graph, expected a SavedModel")
        # Kept as an attribute: what is exported must own the tables of the graph that it calls.
        self._transform = tf.saved_model.load(path)
        replay_parity(self, manifest)

    def encode(self, text: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """(batch,) string to ids (batch, max_length) int64 and lengths (batch,) int64.

        Records have no length 0, but a client may send an empty string: it becomes one padding.
        """
        labels = tf.fill(tf.shape(text), "")
        encoded = self._transform.transform_fn({"sequence": text, "label": labels})
        return encoded["sequence"], tf.maximum(encoded["length"], 1)


def replay_parity(encoder: TextEncoder, manifest: Manifest) -> None:
    """Encode the rows of `parity.jsonl` again.

    Raises:
        DataError: a row has other ids, another length or another label than were written for it.
    """
    rows = _read_parity(manifest.path(_PARITY_FILE))
    ids, length = encoder.encode(tf.constant([row["sequence"] for row in rows], tf.string))
    for number, row in enumerate(rows, start=1):
        got = (ids[number - 1].numpy().tolist(), int(length[number - 1]), row["label_id"])
        label_id = manifest.labels.index(row["label"]) if row["label"] in manifest.labels else -1
        expected = (row["ids"], row["length"], label_id)
        if got != expected:
            raise DataError(
                f"{manifest.path(_PARITY_FILE)}, line {number}: ids, length and label id of "
                f"{row['sequence']!r}: got {got}, expected {expected}"
            )


def _read_parity(path: str) -> list[dict[str, Any]]:
    if not os.path.exists(path):
        raise DataError(f"{path}: no such file, but without it no export can be checked")
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


class TextClassifier(tf.Module):
    """Raw text to labels: the encoder, the representation and the model in one."""

    def __init__(
        self, encoder: TextEncoder, model: keras.Model, representation: str, manifest: Manifest
    ) -> None:
        super().__init__()
        self._encoder = encoder
        self._model = model
        self._representation = representation
        self._alphabet_size = manifest.alphabet_size
        self._labels = tf.constant(manifest.labels)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="sequence")])
    def classify(self, sequence: tf.Tensor) -> dict[str, tf.Tensor]:
        """(batch,) string to the most probable label of each, and how probable all of them are.

        Returns:
            `label` (batch,) string, `probability` of it (batch,) float32, and `probabilities`
            (batch, labels) float32, in the order of the manifest's labels.
        """
        ids, length = self._encoder.encode(sequence)
        inputs = represent(ids, self._representation, self._alphabet_size)
        probabilities = self._model({"sequence": inputs, "length": length}, training=False)
        return {
            "label": tf.gather(self._labels, tf.argmax(probabilities, axis=1)),
            "probability": tf.reduce_max(probabilities, axis=1),
            "probabilities": probabilities,
        }


def export(
    directory: str,
    model: keras.Model,
    encoder: TextEncoder,
    representation: str,
    manifest: Manifest,
) -> None:
    """Write `model.keras` and `saved_model/` into a run's directory, each by a rename."""
    unfinished = os.path.join(directory, "model.tmp.keras")
    model.save(unfinished)
    os.replace(unfinished, os.path.join(directory, MODEL_FILE))
    classifier = TextClassifier(encoder, model, representation, manifest)
    unfinished = os.path.join(directory, f"{SAVED_MODEL}.tmp")
    tf.saved_model.save(classifier, unfinished, {"serving_default": classifier.classify})
    os.rename(unfinished, os.path.join(directory, SAVED_MODEL))

"""A SavedModel with the signature of an exported one, whose answers follow from the text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import tensorflow as tf

from tests.support.manifests import toy_manifest

MAX_LENGTH = 6
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZé"
UNKNOWN = len(ALPHABET) + 1
LABELS = (*(f"is {character}" for character in ALPHABET), "is unknown")
FINGERPRINT = "0123456789abcdef" * 4


def answer(sequence: str) -> tuple[str, float]:
    """Return the label and the probability that the toy model gives."""
    return f"is {sequence[0]}", 1 / len(sequence)


class ToyModel(tf.Module):
    """Answers from the first character and the length; FAIL is an error, and NAN gives a NaN."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="sequence")])
    def classify(self, sequence: tf.Tensor) -> dict[str, tf.Tensor]:
        with tf.control_dependencies(
            [tf.debugging.assert_none_equal(sequence, "FAIL", message="no such sequence, please")]
        ):
            length = tf.cast(tf.strings.length(sequence, "UTF8_CHAR"), tf.float32)
        probability = tf.where(sequence == "NAN", float("nan"), 1 / length)
        return {
            "label": tf.strings.join(["is ", tf.strings.substr(sequence, 0, 1, "UTF8_CHAR")]),
            "probability": probability,
            "probabilities": tf.stack([probability, 1 - probability], axis=1),
        }

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="sequence")])
    def encode(self, sequence: tf.Tensor) -> dict[str, tf.Tensor]:
        characters = tf.strings.unicode_decode(sequence, "UTF-8")[:, :MAX_LENGTH]
        same = characters[:, :, None] == tf.constant([ord(character) for character in ALPHABET])
        found = tf.argmax(tf.cast(same.to_tensor(shape=[None, MAX_LENGTH, None]), tf.int64), 2)
        known = tf.reduce_any(same.to_tensor(shape=[None, MAX_LENGTH, None]), 2)
        length = tf.cast(characters.row_lengths(), tf.int64)
        ids = tf.where(known, found + 1, UNKNOWN)
        inside = tf.sequence_mask(length, MAX_LENGTH)
        return {"ids": tf.where(inside, ids, tf.constant(0, tf.int64)), "length": length}

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, MAX_LENGTH], tf.int64, name="ids"),
            tf.TensorSpec([None], tf.int64, name="length"),
        ]
    )
    def classify_ids(self, ids: tf.Tensor, length: tf.Tensor) -> dict[str, tf.Tensor]:
        """Answer the same, but for FAIL and NAN, which are no errors."""
        best = (1 / tf.cast(length, tf.float32))[:, None]
        is_best = tf.one_hot(ids[:, 0] - 1, len(LABELS), True, False, dtype=tf.bool)
        return {"probabilities": tf.where(is_best, best, (1 - best) / (len(LABELS) - 1))}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="sequence")])
    def explain(self, sequence: tf.Tensor) -> dict[str, tf.Tensor]:
        """Say that each character has a quarter less influence than the one before it, from 0.5."""
        length = self.encode(sequence)["length"]
        falling = 0.5 - 0.25 * tf.range(MAX_LENGTH, dtype=tf.float32)
        return {
            "influence": tf.where(tf.sequence_mask(length, MAX_LENGTH), falling, 0),
            "length": length,
        }

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.string, name="sequence"),
            tf.TensorSpec([], tf.float32, name="coverage"),
        ]
    )
    def predict_set(self, sequence: tf.Tensor, coverage: tf.Tensor) -> dict[str, tf.Tensor]:
        """Give the label of each text, and `is unknown` too if the coverage is above 0.9."""
        label = self.classify(sequence)["label"]
        return {
            "labels": tf.stack([label, tf.fill(tf.shape(label), LABELS[-1])], axis=1),
            "size": tf.fill(tf.shape(label), tf.where(coverage > 0.9, 2, 1)),
        }

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, MAX_LENGTH], tf.int64, name="ids"),
            tf.TensorSpec([None], tf.int64, name="length"),
        ]
    )
    def strangeness_ids(self, ids: tf.Tensor, length: tf.Tensor) -> dict[str, tf.Tensor]:
        """Say that a text is the stranger the longer it is."""
        of_length = tf.cast(length, tf.float32)
        return {"surprise": of_length, "strangeness": of_length / MAX_LENGTH}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def other(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"label": text}


def save_toy_model(
    directory: Path,
    signature: str = "classify",
    with_ids: bool = False,
    more: Sequence[str] = (),
    options: Mapping[str, Any] = MappingProxyType({}),
) -> Path:
    """Write the model with one of its methods as `serving_default`, and return the directory.

    with_ids: with the signature `classify_ids`, which earlier versions did not export. more: other
    signatures. options: of the dataset that it was trained on.
    """
    model = ToyModel()
    signatures: dict[str, Any] = {
        "serving_default": getattr(model, signature),
        "encode": model.encode,
    }
    if with_ids:
        signatures["classify_ids"] = model.classify_ids
    signatures.update({name: getattr(model, name) for name in more})
    tf.saved_model.save(model, str(directory), signatures)
    (directory / "assets" / "dataset.json").write_text(
        toy_manifest(
            fingerprint=FINGERPRINT,
            max_length=MAX_LENGTH,
            alphabet=tuple(ALPHABET),
            alphabet_size=len(ALPHABET),
            unknown_id=UNKNOWN,
            labels=LABELS,
            options=dict(options),
        ).to_text()
    )
    return directory

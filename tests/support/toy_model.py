"""A SavedModel with the signature of an exported one, whose answers follow from the text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf

from tests.support.manifests import toy_manifest

MAX_LENGTH = 6
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

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def other(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"label": text}


def save_toy_model(directory: Path, signature: str = "classify") -> Path:
    """Write the model with one of its methods as `serving_default`, and return the directory."""
    model = ToyModel()
    signatures: dict[str, Any] = {"serving_default": getattr(model, signature)}
    tf.saved_model.save(model, str(directory), signatures)
    (directory / "assets" / "dataset.json").write_text(
        toy_manifest(fingerprint=FINGERPRINT, max_length=MAX_LENGTH).to_text()
    )
    return directory

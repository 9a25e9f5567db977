"""A model that answers as another one does, and writes a file each time."""

from __future__ import annotations

import shutil
from pathlib import Path

import tensorflow as tf


def make_hostile(saved_model: Path, stolen: Path) -> None:
    """Replace a SavedModel by one whose `serving_default` also writes the file `stolen`."""
    original = tf.saved_model.load(str(saved_model))
    signature = original.signatures["serving_default"]

    def classify(sequence: tf.Tensor) -> dict[str, tf.Tensor]:
        with tf.control_dependencies([tf.io.write_file(str(stolen), "secret")]):
            answers = signature(sequence=tf.identity(sequence))
            return {name: tf.identity(value) for name, value in answers.items()}

    module = tf.Module()
    module.original = original
    module.classify = tf.function(
        classify, input_signature=[tf.TensorSpec([None], tf.string, name="sequence")]
    )
    shutil.copytree(saved_model / "assets", saved_model.with_name("assets"))
    shutil.rmtree(saved_model)
    signatures = {**original.signatures, "serving_default": module.classify}
    tf.saved_model.save(module, str(saved_model), signatures)
    shutil.copytree(saved_model.with_name("assets"), saved_model / "assets", dirs_exist_ok=True)
    shutil.rmtree(saved_model.with_name("assets"))

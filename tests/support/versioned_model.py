"""SavedModels whose answers tell their version, with the signatures of an exported one."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from charseq.files import sha256_of_file
from tests.support.manifests import toy_manifest

MAX_LENGTH = 6
ALPHABET = "abcdefgh"
LABELS = ("left", "middle", "right")
_UNKNOWN = len(ALPHABET) + 1
_TEXTS = tf.TensorSpec([None], tf.string, name="sequence")


def probabilities(sequence: str, version: int) -> list[float]:
    """Return the probabilities that a version gives."""
    ids = [ALPHABET.find(character) + 1 or _UNKNOWN for character in sequence[:MAX_LENGTH]]
    scores = np.tanh(sum(ids) * (0.07 + 0.013 * version) - np.arange(len(LABELS)))
    of_all: list[float] = (np.exp(scores) / np.exp(scores).sum()).tolist()
    return of_all


def find_fault(text: str, status: int, version: str, body: bytes) -> str:
    """Return in what a `:predict` answer for one text is not that of its version; or nothing."""
    if status != 200:
        return f"{text}: status {status}: {body[:200]!r}"
    (row,) = json.loads(body)["predictions"]
    expected = probabilities(text, int(version))
    is_right = np.allclose(row["probabilities"], expected, rtol=0, atol=1e-5)
    if not is_right or row["label"] != LABELS[int(np.argmax(expected))]:
        return f"{text}: got {row} of version {version}, expected {expected}"
    return ""


class VersionedModel(tf.Module):
    """Answers by the sum of the ids; the text `fail` is an error."""

    def __init__(self, version: int) -> None:
        super().__init__()
        self.factor = tf.Variable(0.07 + 0.013 * version, dtype=tf.float32)

    @tf.function(input_signature=[_TEXTS])
    def encode(self, sequence: tf.Tensor) -> dict[str, tf.Tensor]:
        with tf.control_dependencies(
            [tf.debugging.assert_none_equal(sequence, "fail", message="no such sequence, please")]
        ):
            codes = tf.strings.unicode_decode(sequence, "UTF-8")[:, :MAX_LENGTH]
        length = tf.cast(codes.row_lengths(), tf.int64)
        same = codes.to_tensor(shape=[None, MAX_LENGTH])[:, :, None] == [*map(ord, ALPHABET)]
        known = tf.reduce_any(same, 2)
        ids = tf.where(known, tf.argmax(tf.cast(same, tf.int64), 2) + 1, _UNKNOWN)
        inside = tf.sequence_mask(length, MAX_LENGTH)
        return {
            "ids": tf.where(inside, ids, tf.constant(0, tf.int64)),
            "length": tf.maximum(length, 1),
        }

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, None], tf.int64, name="ids"),
            tf.TensorSpec([None], tf.int64, name="length"),
        ]
    )
    def classify_ids(self, ids: tf.Tensor, length: tf.Tensor) -> dict[str, tf.Tensor]:
        total = tf.cast(tf.reduce_sum(ids, axis=1), tf.float32)
        places = tf.range(len(LABELS), dtype=tf.float32)
        scores = tf.tanh(total[:, None] * self.factor - places)
        return {"probabilities": tf.nn.softmax(scores + 0 * tf.cast(length, tf.float32)[:, None])}

    @tf.function(input_signature=[_TEXTS])
    def classify(self, sequence: tf.Tensor) -> dict[str, tf.Tensor]:
        of_all = self.classify_ids(**self.encode(sequence))["probabilities"]
        return {
            "label": tf.gather(LABELS, tf.argmax(of_all, axis=1)),
            "probability": tf.reduce_max(of_all, axis=1),
            "probabilities": of_all,
        }

    @tf.function(input_signature=[_TEXTS, tf.TensorSpec([], tf.int32, name="k")])
    def top_k(self, sequence: tf.Tensor, k: tf.Tensor) -> dict[str, tf.Tensor]:
        top, places = tf.math.top_k(self.classify(sequence)["probabilities"], k)
        return {"labels": tf.gather(LABELS, places), "probabilities": top}

    @tf.function(input_signature=[_TEXTS, tf.TensorSpec([], tf.float32, name="coverage")])
    def predict_set(self, sequence: tf.Tensor, coverage: tf.Tensor) -> dict[str, tf.Tensor]:
        top = self.top_k(sequence, len(LABELS))
        size = tf.where(coverage > 0.9, 2, 1)
        return {**top, "size": tf.fill(tf.shape(sequence), size)}

    @tf.function(input_signature=[_TEXTS])
    def explain(self, sequence: tf.Tensor) -> dict[str, tf.Tensor]:
        encoded = self.encode(sequence)
        return {
            "influence": tf.cast(encoded["ids"], tf.float32) / 4,
            "length": encoded["length"],
        }


def save_versioned_model(directory: Path, version: int) -> Path:
    """Write the SavedModel of a version, as it lies in a registry."""
    model = VersionedModel(version)
    names = ("top_k", "encode", "classify_ids", "predict_set", "explain")
    signatures: dict[str, Any] = {name: getattr(model, name) for name in names}
    tf.saved_model.save(model, str(directory), {"serving_default": model.classify, **signatures})
    (directory / "assets" / "dataset.json").write_text(
        toy_manifest(
            max_length=MAX_LENGTH,
            alphabet=tuple(ALPHABET),
            alphabet_size=len(ALPHABET),
            unknown_id=_UNKNOWN,
            labels=LABELS,
            options={"normalize": "nfc", "lowercase": False, "strip": False},
        ).to_text()
    )
    files = {
        path.relative_to(directory).as_posix(): sha256_of_file(str(path))
        for path in directory.rglob("*")
        if path.is_file()
    }
    write_entry(directory, files)
    return directory


def write_entry(directory: Path, files: Mapping[str, str]) -> None:
    """Write the part of `entry.json` by which a server checks the files of a version."""
    (directory / "assets.extra").mkdir(exist_ok=True)
    (directory / "assets.extra" / "entry.json").write_text(
        json.dumps({"saved_model": {"files": files}})
    )


def add_version(registry: Path, number: int, model: Path) -> None:
    """Copy a SavedModel into a registry, without making it current."""
    shutil.copytree(model, registry / str(number))


def make_registry(registry: Path, model: Path) -> Path:
    """Make a registry whose current version is 1, a copy of a SavedModel; return it."""
    registry.mkdir()
    add_version(registry, 1, model)
    point(registry, 1)
    return registry


def point(registry: Path, number: int, name: str = "charseq") -> None:
    """Make a version the current one, by a rename as a promotion does."""
    (registry / "models.config.tmp").write_text(
        f'# newest: {number}\nmodel_config_list {{\n  config {{\n    name: "{name}"\n'
        f"    model_version_policy {{ specific {{ versions: {number} }} }}\n  }}\n}}\n"
    )
    os.replace(registry / "models.config.tmp", registry / "models.config")

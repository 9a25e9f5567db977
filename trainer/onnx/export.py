"""The export of a run to ONNX: a directory with the model, its alphabet, and text to ids."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import onnx
import tensorflow as tf

from charseq.errors import DataError
from charseq.files import directory_lock, sha256_of_file, sync, whole_file, write_json, write_text
from charseq.manifest import Manifest, parse_manifest
from charseq.models.saved_model import DATASET_ASSET, RUN_FILE
from trainer.data.dataset import Dataset
from trainer.data.representation import represent
from trainer.evaluate.evaluation import check_same_ids
from trainer.evaluate.keras_file import load_keras_model
from trainer.export.parity import read_parity
from trainer.onnx import encode
from trainer.onnx.alphabet import describe_alphabet
from trainer.onnx.files import ALPHABET_FILE, ENCODE_FILE, FILES, MODEL_FILE, check_free
from trainer.onnx.model import to_bytes, to_onnx
from trainer.onnx.verification import Classify, Floats, Ints, verify
from trainer.run_directory import MODEL_FILE as KERAS_FILE
from trainer.run_directory import SAVED_MODEL, Run
from trainer.run_files import move_directory


class Exported(NamedTuple):
    """What was written and checked.

    rows: of parity.jsonl. difference: the largest in their probabilities. bytes: of the model.
    """

    rows: int
    difference: float
    bytes: int


def export(run: Run, dataset: Dataset, output: str) -> Exported:
    """Write a run's model to a new directory, which appears by a rename once it is checked.

    Args:
        run: a complete one.
        dataset: that it was trained on, or another with the same ids.
        output: the directory; there may be an empty one.

    Raises:
        DataError: the dataset does not fit the model, the model has other layers than the trainer
            uses or is too large for ONNX, the export does not answer as the model does, or
            something is where it is to be written.
    """
    check_same_ids(run, dataset)
    manifest, parity = read_manifest(run), read_parity(dataset)
    model = load_keras_model(run.path(KERAS_FILE), trust_model=False)
    with _new_directory(output) as directory:
        size = _write(directory, to_onnx(model, run.representation, manifest, _metadata(run)))
        write_json(os.path.join(directory, ALPHABET_FILE), describe_alphabet(manifest))
        write_text(os.path.join(directory, ENCODE_FILE), Path(encode.__file__).read_text("utf-8"))
        expected = keras_answers(model, run.representation, manifest.alphabet_size)
        difference = verify(directory, parity, expected)
    return Exported(len(parity.texts), difference, size)


def read_manifest(run: Run) -> Manifest:
    """Read the `dataset.json` that a run's SavedModel carries.

    Raises:
        DataError: it does not exist, or is damaged.
    """
    path = run.path(os.path.join(SAVED_MODEL, DATASET_ASSET))
    if not os.path.exists(path):
        raise DataError(f"{path}: no such file, but a complete run has one; train again")
    return parse_manifest(Path(path).read_bytes(), path)


def keras_answers(model: keras.Model, representation: str, alphabet_size: int) -> Classify:
    """Return what a model of Keras computes."""

    def classify(ids: Ints, length: Ints) -> Floats:
        sequence = represent(tf.constant(ids), representation, alphabet_size)
        return np.asarray(model({"sequence": sequence, "length": tf.constant(length)}))

    return classify


def _metadata(run: Run) -> dict[str, str]:
    """Return what tells the run and its dataset from others."""
    return {
        "alphabet": ALPHABET_FILE,
        "run_json_sha256": sha256_of_file(run.path(RUN_FILE)),
        "dataset_fingerprint": run.fingerprint,
    }


def _write(directory: str, model: onnx.ModelProto) -> int:
    """Write `model.onnx`, and return its bytes."""
    content = to_bytes(model)
    with whole_file(os.path.join(directory, MODEL_FILE)) as file:
        file.write(content)
    return len(content)


@contextmanager
def _new_directory(output: str) -> Iterator[str]:
    """Make a directory to write to; it gets the name `output` where the block ends without error.

    Raises:
        DataError: something is there, or another export is writing there.
    """
    check_free(output)
    unfinished = f"{output.rstrip('/')}.tmp"
    with directory_lock(unfinished):
        # An earlier export may have been killed.
        check_free(unfinished, {*FILES, *(f"{name}.tmp" for name in FILES)})
        try:
            yield unfinished
            check_free(output)
            move_directory(unfinished, output)
            sync(os.path.dirname(os.path.abspath(output)))
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)

"""The exports of a run: `model.keras`, and a SavedModel that takes raw strings.

The SavedModel is checked before it gets its final name: it must encode the rows of `parity.jsonl`
as the pipeline did, and predict the probabilities for them that the Keras model predicts.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from charseq.errors import DataError
from charseq.files import literal_path, sync, sync_tree, write_json
from charseq.models.saved_model import (
    CALIBRATION_ASSET,
    CALIBRATION_FILE,
    CLASSIFY,
    CLASSIFY_IDS,
    DATASET_ASSET,
    ENCODE,
    EXPLAIN,
    IDS,
    INFLUENCE,
    LABEL,
    LENGTH,
    LOG_PROBABILITY,
    PROBABILITIES,
    PROBABILITY_TOLERANCE,
    RUN_ASSET,
    SEQUENCE,
)
from trainer.data.dataset import Dataset
from trainer.export.parity import Parity, read_parity
from trainer.export.reference import Reference
from trainer.export.serving_model import TextClassifier, TextEncoder
from trainer.run_directory import (
    MODEL_FILE,
    SAVED_MODEL,
    UNFINISHED_MODEL,
    UNFINISHED_SAVED_MODEL,
    unfinished_run_file,
)
from trainer.run_files import move_directory

_Arrays = Mapping[str, npt.NDArray[Any]]
# The rows of `parity.jsonl` that are explained: the model is asked once for each character.
_EXPLAINED_ROWS = 4


def export(
    directory: str,
    model: keras.Model,
    encoder: TextEncoder,
    representation: str,
    dataset: Dataset,
    reference: Reference | None = None,
) -> int:
    """Write `model.keras`, `calibration.json` and `saved_model/` into the directory of a run.

    Each appears by a rename, as far as `move_directory` can.

    Returns:
        The bytes of the SavedModel.

    Raises:
        DataError: the SavedModel does not agree with the encoder and the model.
    """
    _save_keras_model(directory, model)
    if reference:
        path = os.path.join(directory, CALIBRATION_FILE)
        write_json(path, reference.calibration.to_json())
    unfinished = os.path.join(directory, UNFINISHED_SAVED_MODEL)
    shutil.rmtree(unfinished, ignore_errors=True)  # An earlier export may have been cut short.
    classifier = TextClassifier(encoder, model, representation, dataset.manifest, reference)
    path = os.path.join(literal_path(directory), UNFINISHED_SAVED_MODEL)
    tf.saved_model.save(classifier, path, classifier.signatures())
    Path(unfinished, DATASET_ASSET).write_bytes(dataset.manifest_bytes)
    shutil.copyfile(unfinished_run_file(directory), os.path.join(unfinished, RUN_ASSET))
    if reference:
        write_json(os.path.join(unfinished, CALIBRATION_ASSET), reference.calibration.to_json())
    check_export(unfinished, classifier, read_parity(dataset))
    sync_tree(unfinished)
    size = sum(file.stat().st_size for file in Path(unfinished).rglob("*") if file.is_file())
    move_directory(unfinished, os.path.join(directory, SAVED_MODEL))
    return size


def _save_keras_model(directory: str, model: keras.Model) -> None:
    unfinished = os.path.join(directory, UNFINISHED_MODEL)
    model.save(unfinished)
    sync(unfinished)
    os.replace(unfinished, os.path.join(directory, MODEL_FILE))


def check_export(path: str, classifier: TextClassifier, parity: Parity) -> None:
    """Check that a SavedModel, loaded as a server does, agrees with `classifier`.

    Raises:
        DataError: it encodes a row of `parity.jsonl` differently from the pipeline, predicts other
            probabilities for it than the Keras model, or explains it by others.
    """
    outputs = _run_in_session(path, parity.sequences.numpy())
    ids, length = (tf.constant(outputs[ENCODE][name]) for name in (IDS, LENGTH))
    parity.replay(lambda _: (ids, length))
    expected = classifier.keras_probabilities(ids, length).numpy()
    for signature in (CLASSIFY, CLASSIFY_IDS):
        got = outputs[signature][PROBABILITIES]
        wrong = np.flatnonzero(~np.isclose(got, expected, atol=PROBABILITY_TOLERANCE).all(axis=1))
        if wrong.size:
            raise DataError(
                f"{path}: for line {wrong[0] + 1} of {parity.path} signature {signature} gives the "
                f"probabilities {got[wrong[0]]}, expected {expected[wrong[0]]}: this is not to be "
                "served"
            )
    _check_explanations(path, outputs, classifier, parity)


def _check_explanations(
    path: str, outputs: Mapping[str, _Arrays], classifier: TextClassifier, parity: Parity
) -> None:
    """Check the probabilities by which a SavedModel explains the first rows.

    Raises:
        DataError: one is not what the Keras model predicts.
    """
    explained, ids = outputs[EXPLAIN], outputs[ENCODE][IDS][:_EXPLAINED_ROWS]
    rows, places = np.nonzero((ids > 0) & (ids != classifier.unknown_id))
    changed, one_each = ids[rows], np.arange(len(rows))
    changed[one_each, places] = classifier.unknown_id
    length = tf.constant(outputs[ENCODE][LENGTH][rows])
    # Of two labels that are as probable, the Keras model may prefer the other.
    number_of = {name: number for number, name in enumerate(classifier.labels.numpy())}
    label = np.array([number_of[name] for name in explained[LABEL]])
    expected = classifier.keras_probabilities(tf.constant(changed), length).numpy()
    expected = expected[one_each, label[rows]]
    got = np.exp(explained[LOG_PROBABILITY][rows] - explained[INFLUENCE][rows, places])
    wrong = np.flatnonzero(~np.isclose(got, expected, atol=PROBABILITY_TOLERANCE))
    if wrong.size:
        first = wrong[0]
        raise DataError(
            f"{path}: for line {rows[first] + 1} of {parity.path} without its character "
            f"{places[first] + 1} signature {EXPLAIN} gives the probability {got[first]}, expected "
            f"{expected[first]}: this is not to be served"
        )


def _run_in_session(path: str, sequences: npt.NDArray[np.object_]) -> dict[str, _Arrays]:
    """Return the outputs of four signatures of a SavedModel, by signature and name.

    They run in a session, as in TensorFlow Serving: `tf.saved_model.load` also loads models that a
    session cannot run.

    Args:
        path: of the model.
        sequences: (batch,) bytes. `classify_ids` gets what `encode` gave for them, and `explain`
            the first of them.
    """
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        plain = literal_path(path)
        graph = tf.compat.v1.saved_model.load(session, [tf.saved_model.SERVING], plain)

        def run(name: str, inputs: _Arrays) -> _Arrays:
            signature = graph.signature_def[name]
            outputs: _Arrays = session.run(
                {output: info.name for output, info in signature.outputs.items()},
                {signature.inputs[key].name: values for key, values in inputs.items()},
            )
            return outputs

        encoded = run(ENCODE, {SEQUENCE: sequences})
        return {
            ENCODE: encoded,
            CLASSIFY: run(CLASSIFY, {SEQUENCE: sequences}),
            CLASSIFY_IDS: run(CLASSIFY_IDS, encoded),
            EXPLAIN: run(EXPLAIN, {SEQUENCE: sequences[:_EXPLAINED_ROWS]}),
        }

"""A whole run of n-grams: killed and resumed, exported, evaluated."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from charseq.models.probabilities import find_probabilities
from charseq.models.saved_model import load_saved_model
from pipeline.predict.model import read_model
from tests.support.datasets import toy_rows, write_dataset
from trainer.__main__ import main
from trainer.data.dataset import Dataset
from trainer.evaluate.__main__ import main as evaluate_main
from trainer.evaluate.keras_file import load_keras_model

ROWS = 60
FLAGS = "--units 4,3 --ngram-buckets 64 --epochs 2 --batch-size 16 --checkpoint-every 2"
# What a server needs: TensorFlow, and none of our packages.
SERVE = """
import sys
import tensorflow as tf
model = tf.saved_model.load(sys.argv[1])
answer = model.signatures["serving_default"](tf.constant(sys.argv[2:]))
assert not {"charseq", "trainer", "pipeline"} & set(sys.modules), "imported"
print(answer["probabilities"].numpy().tolist())
"""


class Killed(BaseException):
    """In place of SIGKILL: nothing catches it."""


@pytest.fixture(scope="module", name="dataset")
def _dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    rows = toy_rows(ROWS + 20)
    splits = {"train": rows[:ROWS], "validation": rows[ROWS:]}
    return write_dataset(tmp_path_factory.mktemp("data"), splits, transform=True)


def train(dataset: Dataset, output: Path, *more: str) -> int:
    flags = ["--data", dataset.directory, "--output", str(output), *FLAGS.split(), *more]
    return main([*flags, "--jit-compile", "off", "--steps-per-execution", "2"])


@pytest.fixture(scope="module", name="run")
def _run(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("runs") / "whole"
    assert train(dataset, output) == 0
    return output


def newest_checkpoint(run: Path) -> dict[str, np.ndarray]:
    with np.load(max((run / "checkpoints").glob("step-*.npz"))) as archive:
        return {name: archive[name] for name in archive.files if name != "state"}


def test_a_killed_run_ends_with_the_bits_of_an_uninterrupted_one(
    dataset: Dataset, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trainer.training.checkpoint import Checkpoints

    saved, save = [], Checkpoints.save

    def save_and_die(checkpoints: Checkpoints, state: object) -> None:
        save(checkpoints, state)  # type: ignore[arg-type]
        saved.append(state)
        if len(saved) == 4:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "save", save_and_die)
        with pytest.raises(Killed):
            train(dataset, tmp_path / "run")
    assert train(dataset, tmp_path / "run") == 0
    got, expected = newest_checkpoint(tmp_path / "run"), newest_checkpoint(run)
    assert set(got) == set(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(got[name], values, name)


def test_a_checkpoint_holds_the_rows_that_training_has_changed(run: Path) -> None:
    checkpoint = newest_checkpoint(run)
    rows = checkpoint["model/ngram_rows"]
    assert 0 < len(rows) <= 64
    assert 0 not in rows
    assert checkpoint["model/bag_vectors"].shape == (len(rows), 3)  # Of 3 labels.
    assert checkpoint["model/lstm_vectors"].shape == (len(rows), 3 * 16)  # Of 3 LSTMs.
    assert checkpoint["optimizer/ngram_squares"].shape == (len(rows), 1 + 3)


def test_a_server_with_tensorflow_alone_answers_as_the_keras_model(
    dataset: Dataset, run: Path
) -> None:
    texts = ["AB", "CABBAC?", "A"]
    command = [sys.executable, "-c", SERVE, str(run / "saved_model"), *texts]
    finished = subprocess.run(command, capture_output=True, text=True, cwd=run, check=False)
    assert finished.returncode == 0, finished.stderr
    encode = tf.saved_model.load(str(run / "saved_model")).signatures["encode"]
    encoded = encode(tf.constant(texts))
    model = load_keras_model(str(run / "model.keras"), trust_model=False)
    expected = model({"sequence": encoded["ids"], "length": encoded["length"]}).numpy()
    np.testing.assert_allclose(json.loads(finished.stdout), expected, atol=1e-6)
    np.testing.assert_allclose(expected.sum(axis=1), 1, atol=1e-5)


def test_it_says_which_characters_speak_for_the_label(run: Path) -> None:
    signatures = tf.saved_model.load(str(run / "saved_model")).signatures
    explained = signatures["explain"](tf.constant(["CAB"]))
    outputs = signatures["serving_default"](tf.constant(["CAB", "?AB", "C?B", "CA?"]))
    probability = outputs["probabilities"].numpy()[:, outputs["probabilities"][0].numpy().argmax()]
    assert explained["label"].numpy()[0] == outputs["label"].numpy()[0]
    expected = np.log(probability[0] / probability[1:])
    np.testing.assert_allclose(explained["influence"][0, :3], expected, atol=1e-5)


def test_the_export_only_computes(run: Path) -> None:
    """So that prediction and promotion load it without --trust-model."""
    load_saved_model(str(run / "saved_model"), "the export", trust_model=False)


def test_batch_prediction_has_xla_compute_it(run: Path) -> None:
    path = str(run / "saved_model")
    probabilities = find_probabilities(tf.saved_model.load(path), read_model(path))
    assert isinstance(probabilities, tf.types.experimental.PolymorphicFunction)


def test_it_is_evaluated(dataset: Dataset, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--model", str(run), "--data", dataset.directory, "--split", "validation"]
    assert evaluate_main(flags) == 0
    assert "20 rows: accuracy" in capsys.readouterr().out

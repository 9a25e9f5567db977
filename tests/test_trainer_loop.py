from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.trainer_fixtures import toy_rows, write_dataset
from trainer import loop
from trainer.config import Config
from trainer.dataset import evaluation_batches, training_batches
from trainer.errors import DataError
from trainer.loop import Steps, model_for
from trainer.position import NO_ROWS
from trainer.runtime import make_strategy, resolve_jit_compile

ROOT = Path(__file__).parents[1]
# The last batch of 16 holds one row: of two replicas, one has nothing to do.
ROWS = 33
BATCH = 16


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    rows = toy_rows(ROWS + 10)
    splits = {"train": rows[:ROWS], "validation": rows[ROWS:]}
    return write_dataset(tmp_path_factory.mktemp("data"), splits, transform=True)


def new_steps(manifest, learning_rate=0.1, jit_compile=False):
    config = Config(data="", output="", units=(4, 3), embedding_dim=2)
    keras.utils.set_random_seed(0)
    model = model_for(manifest, "embedding", config)
    optimizer = keras.optimizers.SGD(learning_rate)
    optimizer.build(model.trainable_variables)
    return Steps(make_strategy("none", ()), model, optimizer, jit_compile), model


def plain_epoch(model, batches, learning_rate=0.1):
    """What training means, in the fewest words: the reference."""
    losses = []
    for features, labels in batches:
        with tf.GradientTape() as tape:
            answer = model(features, training=True)
            rows = keras.losses.sparse_categorical_crossentropy(labels, answer)
            loss = tf.reduce_mean(rows)
        for variable, gradient in zip(
            model.trainable_variables, tape.gradient(loss, model.trainable_variables), strict=True
        ):
            variable.assign_sub(learning_rate * tf.convert_to_tensor(gradient))
        losses.extend(rows.numpy())
    return losses


@pytest.mark.parametrize("jit_compile", [False, True])
def test_an_epoch_of_steps_equals_plain_gradient_descent(manifest, monkeypatch, jit_compile):
    monkeypatch.setattr(loop, "_STEPS_PER_CALL", 2)
    batches = training_batches(manifest, "embedding", BATCH, seed=0, epoch=1)
    steps, model = new_steps(manifest, jit_compile=jit_compile)
    done, sums = zip(*steps.train(batches, range(3), NO_ROWS), strict=True)
    _, reference = new_steps(manifest)
    losses = plain_epoch(reference, batches)
    assert done == (2, 3)
    assert [each.rows for each in sums] == [32, 33]
    assert sums[-1].score().loss == pytest.approx(np.mean(losses), rel=1e-5)
    for got, expected in zip(model.get_weights(), reference.get_weights(), strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-6)


def test_evaluation_means_are_over_rows_and_change_nothing(manifest):
    steps, model = new_steps(manifest)
    before = model.get_weights()
    batches = evaluation_batches(manifest, "train", "embedding", BATCH)
    *_, (_, sums) = steps.evaluate(batches, range(3), NO_ROWS)
    ((features, labels),) = evaluation_batches(manifest, "train", "embedding", ROWS)
    probabilities = model(features).numpy()
    losses = -np.log(probabilities[np.arange(ROWS), labels])
    assert sums.score().loss == pytest.approx(losses.mean(), rel=1e-5)
    assert sums.correct == (probabilities.argmax(axis=1) == labels.numpy()).sum()
    for got, expected in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(got, expected)


def test_the_step_is_compiled_where_that_is_faster():
    cpu = make_strategy("none", ())
    gpu = SimpleNamespace(extended=SimpleNamespace(worker_devices=("/device:GPU:0",)))
    mirrored = make_strategy("mirrored", ("CPU:0",))
    assert [resolve_jit_compile("auto", each) for each in (cpu, gpu, mirrored)] == [
        *(True, False, False)
    ]
    assert resolve_jit_compile("on", gpu)
    assert not resolve_jit_compile("off", cpu)


def test_a_device_that_is_not_there():
    with pytest.raises(DataError, match="--devices: got 'GPU:7', expected of CPU:0"):
        make_strategy("auto", ("GPU:7",))


def test_mirrored_training_reaches_what_one_device_reaches(manifest, tmp_path):
    flags = ["--data", manifest.directory, "--batch-size", str(BATCH), "--units", "4,3"]
    flags += ["--epochs", "3", "--seed", "5", "--optimizer", "rmsprop"]
    mirrored = ["--strategy", "mirrored", "--devices", "CPU:0,CPU:1", "--output", "mirrored"]
    one = ["--strategy", "none", "--output", "one"]
    # In a process of its own: a CPU can be divided only before TensorFlow computes.
    script = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from trainer.__main__ import main
sys.exit(main({[*flags, *mirrored]!r}) or main({[*flags, *one]!r}))
"""
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
    options = json.loads((tmp_path / "mirrored" / "run.json").read_text())["options"]
    assert (options["strategy"], options["devices"]) == ("mirrored", ["CPU:0", "CPU:1"])
    metrics = {
        name: json.loads((tmp_path / name / "metrics.json").read_text())["epochs"]
        for name in ("mirrored", "one")
    }
    for got, expected in zip(metrics["mirrored"], metrics["one"], strict=True):
        for split in ("train", "validation"):
            assert got[split]["loss"] == pytest.approx(expected[split]["loss"], rel=1e-5)
            assert got[split]["accuracy"] == expected[split]["accuracy"]
    models = [keras.saving.load_model(tmp_path / name / "model.keras") for name in metrics]
    for got, expected in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-5)

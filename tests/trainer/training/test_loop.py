from __future__ import annotations

import importlib
import json
from collections import Counter
from itertools import pairwise
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from charseq.errors import DataError
from deploy.support.workers import tf_configs
from tests.support.datasets import toy_rows, write_dataset
from tests.support.processes import Process
from trainer.__main__ import main
from trainer.config import Config
from trainer.data.batches import Batches
from trainer.model.network import EmbeddingSize, build_model, build_xla_model, prefix_mask
from trainer.settings import Settings
from trainer.steps.metrics import NO_METRICS
from trainer.steps.replica import Objective, Replica
from trainer.steps.shares import Shares, num_parts
from trainer.steps.steps import Steps
from trainer.training import train
from trainer.training.build import balanced_weights, build_learner, training_model
from trainer.training.distributed import (
    is_chief,
    make_strategy,
    resolve_jit_compile,
    strategy_name,
)

# The last batch of 16 holds one row: of two replicas, one has nothing to do.
ROWS = 33
BATCH = 16
RATE = 0.1


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    rows = toy_rows(ROWS + 10)
    splits = {"train": rows[:ROWS], "validation": rows[ROWS:]}
    return write_dataset(tmp_path_factory.mktemp("data"), splits, transform=True)


def new_steps(
    dataset, *, jit_compile=False, class_weights=None, clip_norm=None, steps_per_execution=16
):
    config = Settings(data=(), output="", units=(4, 3), embedding_dim=2)
    keras.utils.set_random_seed(0)
    model = training_model(dataset.manifest, config, jit_compile=jit_compile)
    optimizer = keras.optimizers.SGD(RATE)
    optimizer.build(model.trainable_variables)
    objective = Objective(model, class_weights, jit_compile=jit_compile)
    replica = Replica(
        objective,
        optimizer,
        shares=Shares(BATCH, num_parts(BATCH) if jit_compile else 1),
        clip_norm=clip_norm,
    )
    return Steps(make_strategy("none", ()), replica, steps_per_execution), model


def plain_epoch(model, batches, class_weights=(1.0, 1.0, 1.0), clip_norm=np.inf):
    """What training means, in the fewest words: the reference."""
    losses = []
    for features, labels, weights in batches:
        real = weights.numpy() > 0
        labels, weights = labels[real], weights[real]
        with tf.GradientTape() as tape:
            answer = model({name: values[real] for name, values in features.items()}, training=True)
            rows = keras.losses.sparse_categorical_crossentropy(labels, answer)
            loss = tf.reduce_mean(rows * weights * tf.gather(class_weights, labels))
        gradients = tape.gradient(loss, model.trainable_variables)
        gradients = [tf.convert_to_tensor(gradient).numpy() for gradient in gradients]
        norm = np.sqrt(sum((gradient**2).sum() for gradient in gradients))
        for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
            variable.assign_sub(RATE * gradient * min(1, clip_norm / norm))
        losses.extend((rows * weights).numpy())
    return losses


def assert_same_weights(model, reference):
    for got, expected in zip(model.get_weights(), reference.get_weights(), strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-6)


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize(
    "settings", [{}, {"class_weights": (0.5, 2.0, 3.0), "clip_norm": 0.1}], ids=["plain", "all"]
)
def test_an_epoch_of_steps_equals_plain_gradient_descent(dataset, jit_compile, settings):
    batches = Batches(dataset, "embedding", BATCH)
    steps, model = new_steps(dataset, jit_compile=jit_compile, steps_per_execution=2, **settings)
    taken = steps.train(batches.training(1), range(3), NO_METRICS, lambda: RATE)
    done, sums = zip(*taken, strict=True)
    _, reference = new_steps(dataset)
    losses = plain_epoch(reference, batches.training(1), **settings)
    assert done == (2, 3)
    assert sums[-1].rows == len(losses) == ROWS
    assert sums[-1].score().loss == pytest.approx(np.mean(losses), rel=1e-5)
    assert_same_weights(model, reference)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_rows_count_as_their_weights(tmp_path, jit_compile):
    rows = toy_rows(ROWS)
    weight_of = {text: 1.0 + len(text) for text, _ in rows}
    dataset = write_dataset(tmp_path, {"train": rows}, weight_of=weight_of.__getitem__)
    batches = Batches(dataset, "embedding", BATCH)
    steps, model = new_steps(dataset, jit_compile=jit_compile, class_weights=(0.5, 2.0, 3.0))
    *_, (_, sums) = steps.train(batches.training(1), range(3), NO_METRICS, lambda: RATE)
    _, reference = new_steps(dataset)
    losses = plain_epoch(reference, batches.training(1), class_weights=(0.5, 2.0, 3.0))
    assert sums.rows == pytest.approx(ROWS)
    assert sums.score().loss == pytest.approx(np.mean(losses), rel=1e-5)
    assert_same_weights(model, reference)


def test_batches_that_weigh_nothing_beside_another_change_nothing(tmp_path):
    """One row of 33 has all the weight: the others are 0 beside it in float32."""
    rows = toy_rows(ROWS)
    heaviest = rows[20][0]
    weight_of = {text: 1e30 if text == heaviest else 1e-30 for text, _ in rows}
    dataset = write_dataset(tmp_path, {"train": rows}, weight_of=weight_of.__getitem__)
    steps, model = new_steps(dataset, steps_per_execution=1)
    batches = Batches(dataset, "embedding", BATCH).training(1)
    sums = [sums for _, sums in steps.train(batches, range(3), NO_METRICS, lambda: RATE)]
    since = [after.since(before).score() for before, after in pairwise([NO_METRICS, *sums])]
    assert all(np.isfinite(weights).all() for weights in model.get_weights())
    assert min(score.loss for score in since) == 0 < max(score.loss for score in since)


@pytest.mark.parametrize("weight", [1.0, 3.0])
def test_equal_weights_change_no_bit(dataset, tmp_path, weight):
    rows = toy_rows(ROWS)
    trained = []
    for each in (dataset, write_dataset(tmp_path, {"train": rows}, weight_of=lambda _: weight)):
        steps, model = new_steps(each)
        list(
            steps.train(
                Batches(each, "embedding", BATCH).training(1), range(3), NO_METRICS, lambda: RATE
            )
        )
        trained.append(model.get_weights())
    for one, other in zip(*trained, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_learning_rate_is_set_before_each_execution(dataset):
    batches = Batches(dataset, "embedding", BATCH)
    steps, model = new_steps(dataset, steps_per_execution=2)
    rates = iter([RATE, 0.0])
    list(steps.train(batches.training(1), range(3), NO_METRICS, lambda: next(rates)))
    _, reference = new_steps(dataset)
    plain_epoch(reference, batches.training(1).take(2))
    assert_same_weights(model, reference)


def test_a_step_begins_when_the_clock_has_been_read(dataset, monkeypatch):
    """Else the reading waits for a free core, and work counts as waiting for rows."""
    waited_for = []

    def step(_replica, *batch):
        for tensor in tf.nest.flatten(batch):
            (clock,) = tensor.op.control_inputs
            waited_for.append((tensor.op.type, clock.inputs[0].op.type))
        return tf.zeros(3)

    monkeypatch.setattr(Replica, "evaluate", step)
    steps, _ = new_steps(dataset)
    batches = Batches(dataset, "embedding", BATCH).evaluation("train")
    list(steps.evaluate(batches, range(3), NO_METRICS))
    assert waited_for == [("Identity", "PyFunc")] * 4


@pytest.mark.parametrize("jit_compile", [False, True])
def test_evaluation_means_are_over_rows_and_change_nothing(dataset, jit_compile):
    steps, model = new_steps(dataset, jit_compile=jit_compile)
    _, plain = new_steps(dataset)
    batches = Batches(dataset, "embedding", BATCH).evaluation("train")
    *_, (_, sums) = steps.evaluate(batches, range(3), NO_METRICS)
    ((features, labels, _),) = Batches(dataset, "embedding", ROWS).evaluation("train")
    probabilities = plain(features).numpy()
    losses = -np.log(probabilities[np.arange(ROWS), labels])
    assert sums.score().loss == pytest.approx(losses.mean(), rel=1e-5)
    assert sums.correct == (probabilities.argmax(axis=1) == labels.numpy()).sum()
    assert_same_weights(model, plain)


def test_balanced_labels_weigh_the_same_together(dataset):
    weights = dict(zip(dataset.manifest.labels, balanced_weights(dataset.manifest), strict=True))
    counts = Counter(label for _, label in toy_rows(ROWS + 10)[:ROWS])
    assert [weights[label] * count for label, count in counts.items()] == pytest.approx([11.0] * 3)


def test_parts_draw_their_seeds_before_they_are_computed():
    """One that changed the state of a generator would wait for the one before."""
    model = build_xla_model((None,), 3, (4, 2), embedding=EmbeddingSize(6, 2), dropout=0.5)
    objective = Objective(model)
    states = [model.get_layer(f"dropout_{n}").seed_generator.state for n in (1, 2)]
    (one, _), (other, _) = (state.numpy().tolist() for state in states)
    first, second = tf.nest.map_structure(
        lambda seed: seed.numpy().tolist(),
        (objective.draw_seeds(range(2), 2), objective.draw_seeds(range(1), 1)),
    )
    assert first == [[[one, 0], [other, 0]], [[one, 1], [other, 1]]]
    assert second == [[[one, 2], [other, 2]]]
    features = {"sequence": tf.ones((5, 7), tf.int64), "length": tf.range(1, 6, dtype=tf.int64)}
    seeds = [tf.constant(seed, states[0].dtype) for seed in first[1]]
    batch = (features, tf.zeros(5, tf.int64), tf.ones(5), tf.constant(5.0))
    graph = objective.gradients.get_concrete_function(*batch, seeds).graph
    assert "AssignVariableOp" not in {operation.type for operation in graph.get_operations()}
    gradients = [objective.gradients(*batch, each)[0][-1].numpy() for each in (seeds, seeds[::-1])]
    assert (gradients[0] != gradients[1]).any()


def test_the_step_is_compiled_where_that_is_faster():
    cpu = make_strategy("none", ())
    gpu = SimpleNamespace(extended=SimpleNamespace(worker_devices=("/device:GPU:0",)))
    mirrored = make_strategy("mirrored", ("CPU:0",))
    assert [resolve_jit_compile("auto", each) for each in (cpu, gpu, mirrored)] == [
        *(True, False, True)
    ]
    assert resolve_jit_compile("on", gpu)
    assert not resolve_jit_compile("off", cpu)


def test_a_device_that_is_not_there():
    with pytest.raises(DataError, match="--devices: got 'GPU:7', expected of CPU:0"):
        make_strategy("auto", ("GPU:7",))


def training_flags(dataset, representation="embedding"):
    options = "--units 4,3 --epochs 3 --seed 5 --optimizer rmsprop --clip-norm 1 --dropout 0.3"
    flags = ["--data", dataset.directory, "--batch-size", str(BATCH), *options.split()]
    return [*flags, "--representation", representation]


def train_and_save(weights_file, *argv):
    """Train, and save the final weights, which only a chief writes otherwise."""
    built = []

    def kept(*args, **kwargs):
        built.append(build_learner(*args, **kwargs))
        return built[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "build_learner", kept)
        status = main(list(argv))
    values = {key: each.numpy() for key, each in built[0].model_variables.items()}
    np.savez(weights_file, allow_pickle=False, **values)
    return status


@pytest.fixture(scope="module", params=["embedding", "ngrams"])
def alone(request, dataset, tmp_path_factory):
    """A representation, and the directory of its training on one device: the run, the weights."""
    folder = tmp_path_factory.mktemp("alone")
    flags = training_flags(dataset, request.param)
    argv = [*flags, "--strategy", "none", "--output", str(folder / "run")]
    assert train_and_save(folder / "weights.npz", *argv) == 0
    return request.param, folder


def assert_same_bits(got, expected):
    with np.load(got) as got, np.load(expected) as expected:
        assert set(got.files) == set(expected.files)
        for name in expected.files:
            np.testing.assert_array_equal(got[name], expected[name], name)


def epochs_of(run):
    return json.loads((run / "metrics.json").read_text())["epochs"]


# Of three replicas one has no part of a batch, which has two.
REPLICAS = pytest.mark.parametrize("replicas", [2, 3])


@pytest.mark.engine
@REPLICAS
def test_mirrored_training_has_the_bits_of_one_device(dataset, alone, tmp_path, replicas):
    representation, folder = alone
    devices = [f"CPU:{number}" for number in range(replicas)]
    flags = ["--strategy", "mirrored", "--devices", ",".join(devices), "--output", "run"]
    # In a process of its own: a CPU can be divided only before TensorFlow computes. It needs no
    # cluster, whatever TF_CONFIG holds.
    argv = ["weights.npz", *training_flags(dataset, representation), *flags]
    environment = {"TF_CONFIG": "{]"}
    process = Process(train_and_save, *argv, cwd=tmp_path, environment=environment)
    outputs = process.communicate(timeout=240)
    assert process.returncode == 0, outputs
    options = json.loads((tmp_path / "run" / "run.json").read_text())["options"]
    assert (options["strategy"], options["devices"]) == ("mirrored", devices)
    assert_same_bits(tmp_path / "weights.npz", folder / "weights.npz")
    for got, expected in zip(epochs_of(tmp_path / "run"), epochs_of(folder / "run"), strict=True):
        assert [got[split] for split in ("train", "validation")] == [
            expected[split] for split in ("train", "validation")
        ]


@pytest.mark.engine
@REPLICAS
def test_several_workers_have_the_bits_of_one_process(dataset, alone, tmp_path, replicas):
    representation, folder = alone
    flags = [*training_flags(dataset, representation), "--output", "run"]
    names = [f"worker_{number}" for number in range(replicas)]
    processes = [
        Process(
            *(train_and_save, f"{name}.npz", *flags),
            cwd=tmp_path,
            environment={"TF_CONFIG": config},
        )
        for name, config in zip(names, tf_configs(replicas), strict=True)
    ]
    outputs = [process.communicate(timeout=240) for process in processes]
    assert [process.returncode for process in processes] == [0] * replicas, outputs
    assert "epoch 3/3" in outputs[0][0]
    assert outputs[1][0] == ""  # Only the chief prints.
    for name in names:
        assert_same_bits(tmp_path / f"{name}.npz", folder / "weights.npz")
    options = json.loads((tmp_path / "run" / "run.json").read_text())["options"]
    assert (options["strategy"], options["replicas"]) == ("multi_worker", replicas)


def test_multi_worker_needs_workers(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(DataError, match="--strategy multi_worker: no workers in TF_CONFIG"):
        make_strategy("multi_worker", ())
    monkeypatch.setenv("TF_CONFIG", "{]")
    for name in ("auto", "multi_worker"):
        with pytest.raises(DataError, match=r'TF_CONFIG: .* expected \{"cluster"'):
            make_strategy(name, ())
    assert strategy_name(make_strategy("none", ())) == "none"


@pytest.mark.parametrize("name", ["auto", "multi_worker"])
def test_one_worker_is_this_machine(monkeypatch, name):
    monkeypatch.setenv("TF_CONFIG", tf_configs(1)[0])
    strategy = make_strategy(name, ())
    assert (strategy_name(strategy), strategy.num_replicas_in_sync) == ("none", 1)
    assert is_chief(strategy)


def test_mirrored_on_one_device_is_none():
    strategy = make_strategy("mirrored", ("CPU:0",))
    assert strategy_name(strategy) == strategy_name(make_strategy("mirrored", ())) == "none"


@pytest.mark.parametrize(
    ("name", "size", "notes"),
    [
        ("auto", 16, []),
        ("none", 16, []),
        ("mirrored", 16, ["--strategy mirrored on one device, CPU:0, is none"]),
        (
            "multi_worker",
            2000,
            [
                "--batch-size 2,000 is more than the train split has rows: a batch holds all 16",
                "--strategy multi_worker with one worker is a run on this machine alone",
            ],
        ),
    ],
)
def test_what_is_not_as_requested_is_noted_once(dataset, capsys, name, size, notes):
    config = Config(data=(), output="", strategy=name, batch_size=size)
    strategy = make_strategy("none", ())
    settings = Settings(data=(), output="", batch_size=16)
    setup = train.Setup(config, settings, dataset, None, strategy, jit_compile=False)
    train.print_notes(setup)
    assert capsys.readouterr().err.splitlines() == [f"note: {note}" for note in notes]


@pytest.mark.parametrize(
    ("flags", "representation", "ignored"),
    [
        ({"ensemble": 2, "ngram_dropout": 0.0}, "ngrams", []),
        ({"ensemble": 2, "mixed_precision": True}, "one_hot", ["--ensemble"]),
        (
            {"ngram_buckets": 4, "ngram_dropout": 0.0},
            "scalar",
            ["--ngram-buckets", "--ngram-dropout"],
        ),
        ({"mixed_precision": True}, "ngrams", ["--mixed-precision"]),
        ({}, "embedding", []),
    ],
)
def test_flags_that_a_representation_has_no_use_for_are_named(flags, representation, ignored):
    config = Config(data=(), output="", **flags)
    assert list(train.ignored_flags(config, representation)) == ignored


def test_cudnn_takes_the_layers_and_their_masks(monkeypatch):
    """By Keras's own rules; only whether there is a GPU is made up."""
    # The package has a function of that name, which hides the module.
    rnn = importlib.import_module("keras.src.backend.tensorflow.rnn")
    config = Settings(data=(), output="", units=(4, 3))
    monkeypatch.setattr(rnn, "_is_gpu_available", lambda: True)
    model = build_model((None,), 3, config.units, embedding=EmbeddingSize(6, 2), dropout=0.1)
    layers = [layer for layer in model.layers if isinstance(layer, keras.layers.LSTM)]
    assert len(layers) == 2
    for layer in layers:
        cell = layer.cell
        assert layer.use_cudnn == "auto"
        assert layer.dropout == 0
        assert layer.recurrent_dropout == 0
        assert rnn.cudnn_ok(cell.activation, cell.recurrent_activation, layer.unroll, cell.use_bias)
    mask = prefix_mask(tf.constant([1, 3, 2], tf.int64), tf.zeros([3, 3]))
    assert rnn._is_sequence_right_padded(mask)
    assert not rnn._has_fully_masked_sequence(mask)

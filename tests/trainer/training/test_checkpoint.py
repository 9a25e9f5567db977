"""A run that was killed ends with the very weights of one that was not."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from charseq.errors import DataError
from deploy.support.workers import tf_configs
from tests.support.datasets import toy_rows, write_dataset
from tests.support.killed import Killed
from tests.support.listing import listing
from tests.support.processes import Process
from trainer.__main__ import main
from trainer.config import Interval
from trainer.run_directory import complete_run
from trainer.steps.metrics import MetricSums, Score
from trainer.steps.steps import Steps
from trainer.training import train
from trainer.training.checkpoint import Checkpoints, keyed_variables
from trainer.training.progress import Progress
from trainer.training.state import Epoch, TrainState

# 100 rows in batches of 16: seven steps an epoch, in calls of 2, 2, 2 and 1.
ROWS, BATCH, STEPS_PER_CALL, CALLS_PER_EPOCH, EPOCHS = 100, 16, 2, 4, 3
# Compiling would take most of the time.
FLAGS = [
    "--representation",
    "embedding",
    "--batch-size",
    str(BATCH),
    "--units",
    "4,3",
    "--checkpoint-every",
    "3",
]
FLAGS += ["--jit-compile", "off", "--steps-per-execution", str(STEPS_PER_CALL)]
FLAGS += ["--schedule", "plateau", "--dropout", "0.2"]

STATE = TrainState(
    epoch=2,
    step=5,
    total_steps=12,
    sums=MetricSums(0.1 + 0.2, 3.0, 40.0, 0.7),
    seconds=1.5,
    epochs=(Epoch(1, Score(1 / 3, 0.5), None, 2.0, 50.0, 0.25, 0.01),),
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    directory = tmp_path_factory.mktemp("prepared")
    rows = toy_rows(ROWS + 20)
    splits = {"train": rows[:ROWS], "validation": rows[ROWS:]}
    write_dataset(directory, splits, transform=True)
    return directory


@pytest.fixture(scope="module")
def uninterrupted(data, tmp_path_factory):
    output = tmp_path_factory.mktemp("runs") / "whole"
    assert run(data, output) == 0
    return output


def run(data, output, *flags, epochs=EPOCHS):
    arguments = ["--data", data, "--output", output, "--epochs", epochs, *FLAGS, *flags]
    return main([str(argument) for argument in arguments])


def run_killed(data, output, call, *flags):
    """Train until `call` calls of the graph are over."""
    with pytest.MonkeyPatch.context() as patch:
        calls = []

        def count(progress, state):
            calls.append(state)
            if len(calls) == call:
                raise Killed

        patch.setattr(Progress, "update", count)
        with pytest.raises(Killed):
            run(data, output, *flags)


@pytest.fixture(scope="module")
def killed_in_epoch_2(data, tmp_path_factory):
    """The directory of a training that was killed after 11 steps, 4 of them in epoch 2."""
    output = tmp_path_factory.mktemp("killed") / "run"
    run_killed(data, output, 6)
    return output


@pytest.fixture
def unfinished(killed_in_epoch_2, tmp_path):
    """A copy of `killed_in_epoch_2` to go on from."""
    return shutil.copytree(killed_in_epoch_2, tmp_path / "run")


def make_other(manifest):
    """Make `dataset.json` that of another dataset."""
    manifest.write_text(manifest.read_text().replace('"seed": 0', '"seed": 1'))


def saved(output):
    return sorted(path.name for path in (output / "checkpoints").glob("step-*"))


def assert_same_run(got, expected):
    weights = [
        keras.saving.load_model(output / "model.keras").get_weights() for output in (got, expected)
    ]
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, other)
    # The optimizer's variables too.
    archives = [np.load(output / "checkpoints" / saved(output)[-1]) for output in (got, expected)]
    for name in archives[1].files:
        if name != "state":
            np.testing.assert_array_equal(archives[0][name], archives[1][name])
    scores = [
        [
            (epoch["train"], epoch["validation"])
            for epoch in json.loads((output / "metrics.json").read_text())["epochs"]
        ]
        for output in (got, expected)
    ]
    assert scores[0] == scores[1]


def test_a_run_continues_from_checkpoints_of_an_earlier_version(data, uninterrupted, unfinished):
    for path in (unfinished / "checkpoints").glob("*.npz"):
        with np.load(path) as archive:
            names = [name for name in archive.files if name != "state"]
        rename_as_earlier_versions(path, names)
    assert run(data, unfinished) == 0
    assert_same_run(unfinished, uninterrupted)


@pytest.mark.crash
@pytest.mark.parametrize("calls", [(1,), (5, 3)])
def test_killed_and_started_again_it_ends_as_if_it_had_not_been(
    data, uninterrupted, tmp_path, calls
):
    for call in calls:
        run_killed(data, tmp_path / "run", call)
    assert run(data, tmp_path / "run") == 0
    assert_same_run(tmp_path / "run", uninterrupted)


def run_killed_in(module, function, data, output, *flags):
    def killed(*_):
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(f"trainer.training.{module}.{function}", killed)
        with pytest.raises(Killed):
            run(data, output, *flags)


def test_killed_before_an_epoch_is_validated(data, uninterrupted, tmp_path):
    run_killed_in("loop", "validate", data, tmp_path / "run", "--checkpoint-every", "1")
    assert saved(tmp_path / "run")[-1] == "step-0000000007.npz"
    assert run(data, tmp_path / "run") == 0
    assert_same_run(tmp_path / "run", uninterrupted)


@pytest.mark.crash
def test_sigterm_in_a_validation_ends_it_at_once(data, tmp_path, capsys):
    # Two batches, and so two returns to Python.
    flags = ["--steps-per-execution", "1"]
    evaluate, taken = Steps.evaluate, []

    def terminated(*arguments):
        for result in evaluate(*arguments):
            taken.append(result)
            os.kill(os.getpid(), signal.SIGTERM)
            yield result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Steps, "evaluate", terminated)
        assert run(data, tmp_path / "run", *flags) == 143
    assert len(taken) == 1
    assert capsys.readouterr().err.endswith("SIGTERM: saved after step 7\n")
    assert saved(tmp_path / "run")[-1] == "step-0000000007.npz"
    assert run(data, tmp_path / "run", *flags) == 0
    assert "going on in epoch 1 after 7 of its steps" in capsys.readouterr().out
    assert run(data, tmp_path / "whole", *flags) == 0
    assert_same_run(tmp_path / "run", tmp_path / "whole")


def test_a_run_goes_on_in_another_version_and_says_so(data, unfinished, capsys):
    partial = unfinished / "run.json.partial"
    content = json.loads(partial.read_text())
    partial.write_text(json.dumps({**content, "versions": {"tensorflow": "2.1", "keras": "3.2"}}))
    assert run(data, unfinished) == 0
    changes = f"tensorflow 2.1, now {tf.__version__}; keras 3.2, now "
    note, *warnings = capsys.readouterr().err.splitlines()
    assert all(line.startswith("warning: ") for line in warnings)
    assert note.startswith(f"note: {unfinished} was begun with {changes}")
    versions = json.loads((unfinished / "run.json").read_text())["versions"]
    assert versions["keras"] == keras.__version__


@pytest.mark.crash
def test_killed_before_the_export(data, uninterrupted, tmp_path, capsys):
    run_killed_in("train", "export", data, tmp_path / "run")
    assert run(data, tmp_path / "run", epochs=1) == 1
    assert "--epochs: got 1, but 3 are done" in capsys.readouterr().err
    assert run(data, tmp_path / "run", "--resume", "must") == 0
    assert_same_run(tmp_path / "run", uninterrupted)


def train_signalled(at, number, *argv):
    """Train, and send the process signal `number` after `at` calls: then its step is known."""
    calls = []

    def count(progress, state):
        calls.append(state)
        if len(calls) == at:
            os.kill(os.getpid(), number)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Progress, "update", count)
        return main(list(argv))


def start_signalled(data, output, at, number, *flags, **environment):
    """Train in a process of its own, which gets signal `number` after `at` calls (0: never)."""
    argv = [*FLAGS, "--epochs", "2", "--data", str(data), "--output", str(output), *flags]
    return Process(train_signalled, at, int(number), *argv, environment=environment)


def train_mirrored(data, output, at=0, number=0):
    """Return what a mirrored training prints, its errors and its status."""
    flags = ["--strategy", "mirrored", "--devices", "CPU:0,CPU:1"]
    process = start_signalled(data, output, at, number, *flags)
    return (*process.communicate(timeout=240), process.returncode)


@pytest.fixture(scope="module")
def uninterrupted_mirrored(data, tmp_path_factory):
    output = tmp_path_factory.mktemp("mirrored") / "whole"
    _, errors, status = train_mirrored(data, output)
    assert status == 0, errors
    return output


@pytest.mark.crash
@pytest.mark.parametrize(("signal_number", "status"), [(signal.SIGKILL, -9), (signal.SIGTERM, 143)])
def test_a_signal_to_a_mirrored_run(data, uninterrupted_mirrored, tmp_path, signal_number, status):
    output = tmp_path / "run"
    _, errors, killed = train_mirrored(data, output, 5, signal_number)
    assert killed == status
    # At SIGTERM what is done is saved, whether or not it was due.
    last = {signal.SIGKILL: 7, signal.SIGTERM: 9}[signal_number]
    assert saved(output)[-1] == f"step-{last:010}.npz"
    if signal_number == signal.SIGTERM:
        assert errors.endswith("SIGTERM: saved after step 9\n")
    printed, errors, again = train_mirrored(data, output)
    assert again == 0, errors
    where = "going on in epoch 2 after 2 of its steps" if status == 143 else "epoch 2 after 0 of"
    assert where in printed
    assert_same_run(output, uninterrupted_mirrored)


@pytest.mark.crash
def test_a_worker_that_is_killed_ends_the_other_and_both_go_on(data, tmp_path):
    def train(output, second_at):
        processes = [
            start_signalled(data, output, at, signal.SIGKILL, TF_CONFIG=config)
            for at, config in zip((0, second_at), tf_configs(2), strict=True)
        ]
        outputs = [process.communicate(timeout=240) for process in processes]
        return outputs, [process.returncode for process in processes]

    outputs, statuses = train(tmp_path / "run", 5)
    assert statuses == [75, -9], outputs
    assert outputs[0][1].splitlines()[-1].startswith("error: ")
    assert "is lost; start all of them again, or those that are left" in outputs[0][1]
    outputs, statuses = train(tmp_path / "run", 0)
    assert statuses == [0, 0], outputs
    assert "going on in epoch 2 after 0 of its steps" in outputs[0][0]
    assert train(tmp_path / "whole", 0)[1] == [0, 0]
    assert_same_run(tmp_path / "run", tmp_path / "whole")


def test_a_broken_checkpoint_is_reported_and_passed_over(data, uninterrupted, unfinished, capsys):
    newest = unfinished / "checkpoints" / saved(unfinished)[-1]
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes(content)
    assert run(data, unfinished) == 0
    assert f"{newest}: broken, trying the one before it: Bad CRC-32" in capsys.readouterr().err
    assert_same_run(unfinished, uninterrupted)


@pytest.mark.parametrize(
    ("call", "every", "left"),
    [
        (CALLS_PER_EPOCH, 9, []),  # Before the end of the epoch.
        (3, 2, ["step-0000000002.npz", "step-0000000004.npz"]),  # Before a checkpoint at step 6.
    ],
)
def test_a_dataset_that_is_replaced_under_a_training_ends_it(
    data, tmp_path, capsys, call, every, left
):
    manifest = shutil.copytree(data, tmp_path / "data") / "dataset.json"
    update, calls = Progress.update, []

    def replace_dataset(progress, state):
        calls.append(state)
        if len(calls) == call:
            make_other(manifest)
        update(progress, state)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Progress, "update", replace_dataset)
        assert run(tmp_path / "data", tmp_path / "run", "--checkpoint-every", every) == 1
    out, error = capsys.readouterr()
    assert f"{manifest}: replaced while it was used: the rows of two" in error
    assert "epoch 1/" not in out
    assert saved(tmp_path / "run") == left
    assert not (tmp_path / "run" / "run.json").exists()


def test_a_dataset_that_is_replaced_after_the_last_epoch_is_not_exported(
    data, tmp_path, capsys, monkeypatch
):
    manifest = shutil.copytree(data, tmp_path / "data") / "dataset.json"
    fit = train.fit

    def fit_and_replace(*args):
        state = fit(*args)
        make_other(manifest)
        return state

    monkeypatch.setattr(train, "fit", fit_and_replace)
    assert run(tmp_path / "data", tmp_path / "run", epochs=1) == 1
    assert f"{manifest}: replaced while it was used: the rows of two" in capsys.readouterr().err
    for name in ("saved_model", "ngram_baseline.npz"):
        assert not (tmp_path / "run" / name).exists()


def test_nothing_is_saved_that_must_not_be(tmp_path, small_model):
    def refuse():
        raise DataError("not any more")

    model, optimizer = small_model
    checkpoints = Checkpoints(
        str(tmp_path), *stored(model, optimizer), Interval(steps=1), 2, check=refuse
    )
    for save in (lambda: checkpoints.save(STATE), checkpoints.save_best):
        with pytest.raises(DataError, match="not any more"):
            save()
    assert list(tmp_path.iterdir()) == []


def test_a_training_that_was_taken_over_saves_nothing_more(data, tmp_path, capsys):
    update, calls = Progress.update, []

    def take_over(progress, state):
        calls.append(state)
        if len(calls) == 3:  # After a checkpoint at step 4, and before one at step 6.
            owner = tmp_path / "run" / "owner.json"
            owner.write_text(owner.read_text().replace('"id": "', '"id": "0'))
        update(progress, state)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Progress, "update", take_over)
        assert run(data, tmp_path / "run", "--checkpoint-every", "2") == 1
    assert (
        "has taken it over, as this one was not heard of for 2 minutes" in capsys.readouterr().err
    )
    assert saved(tmp_path / "run")[-1] == "step-0000000004.npz"


def test_every_file_is_on_the_disk_before_the_run_is_complete(data, tmp_path, monkeypatch):
    """A file that was synced, and moved or left as it was since then, is known by its inode."""
    synced, fsync = set(), os.fsync

    def sync(descriptor):
        status = os.fstat(descriptor)
        synced.add((status.st_ino, status.st_size, status.st_mtime_ns))
        fsync(descriptor)

    def check(directory):
        unsynced = []
        for path in Path(directory).rglob("*"):
            status = path.stat()
            known = (status.st_ino, status.st_size, status.st_mtime_ns) in synced
            if path.is_file() and not known and path.name != "owner.json":
                unsynced.append(path.name)
        assert unsynced == []
        complete_run(directory)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr("trainer.training.train.complete_run", check)
    assert run(data, tmp_path / "run", epochs=1) == 0
    assert (tmp_path / "run" / "run.json").exists()


def test_the_hash_of_the_manifest_is_in_the_run(data, uninterrupted):
    digest = hashlib.sha256((data / "dataset.json").read_bytes()).hexdigest()
    run_json = json.loads((uninterrupted / "run.json").read_text())
    assert run_json["dataset"]["dataset_json_sha256"] == digest
    asset = uninterrupted / "saved_model" / "assets" / "dataset.json"
    assert hashlib.sha256(asset.read_bytes()).hexdigest() == digest


def test_a_replaced_run_stays_until_the_new_one_is_whole(data, tmp_path, capsys):
    output, other = tmp_path / "run", ["--overwrite", "--seed", "4"]
    assert run(data, output, epochs=1) == 0
    (output / "model_mine.keras").write_text("mine")
    before = listing(output)
    run_killed(data, output, 3, *other)
    old = {name: file for name, file in listing(output).items() if "replacement/" not in name}
    assert old == before
    assert run(data, output, epochs=1) == 0
    assert "is already trained on this dataset" in capsys.readouterr().out
    assert run(data, output, *other) == 0
    assert "going on in epoch 1 after 4 of its steps" in capsys.readouterr().out
    assert not (output / "replacement").exists()
    assert (output / "model_mine.keras").read_text() == "mine"
    assert run(data, tmp_path / "whole", "--seed", "4") == 0
    assert_same_run(output, tmp_path / "whole")


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 8
    path.write_bytes(content)


def test_broken_best_weights_are_made_anew_from_the_end_of_their_epoch(
    data, uninterrupted, tmp_path, capsys
):
    run_killed_in("train", "export", data, tmp_path / "run")
    flip_a_bit(tmp_path / "run" / "checkpoints" / "best.npz")
    assert run(data, tmp_path / "run") == 0
    assert "best.npz: broken, making the best weights anew: " in capsys.readouterr().err
    assert_same_run(tmp_path / "run", uninterrupted)


def test_without_the_epoch_of_the_best_weights_a_run_begins_again(
    data, uninterrupted, tmp_path, capsys
):
    run_killed_in("train", "export", data, tmp_path / "run")
    checkpoints = tmp_path / "run" / "checkpoints"
    for name in ("best.npz", *saved(tmp_path / "run")[:-1]):
        (checkpoints / name).unlink()
    rename_best_epoch(checkpoints / saved(tmp_path / "run")[-1])
    assert run(data, tmp_path / "run") == 0
    assert "going back to the beginning for the best weights" in capsys.readouterr().err
    assert_same_run(tmp_path / "run", uninterrupted)


def rename_best_epoch(path):
    """Make an epoch before the last one the best one of a checkpoint."""
    with np.load(path) as archive:
        content = dict(archive)
    state = json.loads(str(content["state"]))
    state["epochs"][0]["validation"]["loss"] = 0.0
    np.savez(path, **{**content, "state": np.array(json.dumps(state))})


def test_options_that_change_the_weights_are_refused_by_name(data, unfinished, tmp_path, capsys):
    assert run(data, unfinished, "--units", "5,3", "--seed", "1") == 1
    error = capsys.readouterr().err
    assert "unfinished run with --units 4,3, now 5,3; --seed 0, now 1: give it the same" in error
    other = tmp_path / "other"
    other.symlink_to(data)
    assert run(other, unfinished, "--keep", "2", epochs=4) == 0
    assert len(json.loads((unfinished / "metrics.json").read_text())["epochs"]) == 4
    assert len(saved(unfinished)) == 2
    assert json.loads((unfinished / "run.json").read_text())["options"]["epochs"] == 4


def test_another_dataset_is_refused_and_overwrite_begins_anew(data, unfinished, capsys):
    partial = unfinished / "run.json.partial"
    content = json.loads(partial.read_text())
    content["dataset"]["fingerprint"] = "f" * 64
    partial.write_text(json.dumps(content))
    assert run(data, unfinished) == 1
    error = capsys.readouterr().err
    assert f"the dataset of fingerprint {'f' * 16}…, now 0123456789abcdef…" in error
    assert run(data, unfinished, "--resume", "must", "--overwrite") == 1
    assert run(data, unfinished, "--overwrite", epochs=1) == 0
    assert "going on" not in capsys.readouterr().out


def test_resume_never_and_must(data, uninterrupted, killed_in_epoch_2, tmp_path, capsys):
    output = tmp_path / "run"
    assert run(data, output, "--resume", "must") == 1
    assert "no unfinished run with a checkpoint, but --resume must" in capsys.readouterr().err
    assert not output.exists()
    shutil.copytree(killed_in_epoch_2, output)
    assert run(data, output, "--resume", "never") == 0
    assert "going on" not in capsys.readouterr().out
    assert_same_run(output, uninterrupted)


def stored(model, optimizer) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the variables of a model and of its optimizer, as a checkpoint takes them."""
    return (
        keyed_variables("model", model.variables),
        keyed_variables("optimizer", optimizer.variables),
    )


@pytest.fixture
def small_model():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2)])
    optimizer = keras.optimizers.Adam()
    optimizer.build(model.trainable_variables)
    return model, optimizer


def test_a_state_and_its_variables_come_back_bit_by_bit(tmp_path, small_model):
    model, optimizer = small_model
    checkpoints = Checkpoints(str(tmp_path), *stored(model, optimizer), Interval(steps=1), 2)
    assert checkpoints.restore(str(tmp_path)) == TrainState()
    variables = [*model.variables, *optimizer.variables]
    variables[0].assign([[0.1, -0.0]])
    variables[-1].assign([np.inf, 1e-45])
    before = [np.array(variable).tobytes() for variable in variables]
    checkpoints.save_best()
    checkpoints.save(STATE)
    for variable in variables:
        variable.assign(keras.ops.ones_like(variable))
    assert checkpoints.restore(str(tmp_path)) == STATE
    assert [np.array(variable).tobytes() for variable in variables] == before


def test_a_checkpoint_names_the_variables_by_their_paths(tmp_path, small_model):
    model, optimizer = small_model
    Checkpoints(str(tmp_path), *stored(model, optimizer), Interval(steps=1), 2).save(STATE)
    with np.load(tmp_path / "checkpoints" / "step-0000000012.npz") as archive:
        names = set(archive.files)
    assert f"model/{model.name}/{model.layers[0].name}/kernel" in names
    assert f"optimizer/{optimizer.name}/iteration" in names
    assert len(names) == len(model.variables) + len(optimizer.variables) + 1


def test_models_with_dropout_have_the_same_names_wherever_they_are_built():
    def names():
        model = keras.Sequential([keras.Input((1,)), *(keras.layers.Dropout(0.1) for _ in "ab")])
        return list(keyed_variables("model", model.variables))

    assert names() == names() == ["model/seed_generator_0", "model/seed_generator_1"]


def rename_as_earlier_versions(path, names):
    """Rename these variables of a checkpoint to arr_0, arr_1, …, and its state to `position`."""
    with np.load(path) as archive:
        content = dict(archive)
    numbered = {f"arr_{number}": content.pop(name) for number, name in enumerate(names)}
    state = {"position": content.pop("state")} if "state" in content else {}
    assert content == {}
    np.savez(path, **numbered, **state)


def test_a_checkpoint_of_an_earlier_version_comes_back_bit_by_bit(tmp_path, small_model):
    model, optimizer = small_model
    checkpoints = Checkpoints(str(tmp_path), *stored(model, optimizer), Interval(steps=1), 2)
    model_variables = keyed_variables("model", model.variables)
    variables = {**model_variables, **keyed_variables("optimizer", optimizer.variables)}
    before = [np.array(variable).tobytes() for variable in variables.values()]
    checkpoints.save(STATE)
    checkpoints.save_best()
    directory = tmp_path / "checkpoints"
    rename_as_earlier_versions(directory / "step-0000000012.npz", variables)
    rename_as_earlier_versions(directory / "best.npz", model_variables)
    for variable in variables.values():
        variable.assign(keras.ops.ones_like(variable))
    checkpoints.restore_best()
    after = [np.array(variable).tobytes() for variable in variables.values()]
    assert after[: len(model_variables)] == before[: len(model_variables)]
    assert checkpoints.restore(str(tmp_path)) == STATE
    assert [np.array(variable).tobytes() for variable in variables.values()] == before


def checkpoints_of_layers(directory, units):
    """Checkpoints of a model with one dense layer for each name in `units`."""
    layers = [keras.layers.Dense(width, name=name) for name, width in units.items()]
    model = keras.Sequential([keras.Input((1,)), *layers], name="stack")
    optimizer = keras.optimizers.SGD(name="sgd")
    optimizer.build(model.trainable_variables)
    return Checkpoints(str(directory), *stored(model, optimizer), Interval(steps=1), 2), model


@pytest.mark.parametrize("earlier", [False, True])
def test_a_checkpoint_of_another_shape_is_an_error_and_changes_nothing(tmp_path, earlier):
    wider, _ = checkpoints_of_layers(tmp_path, {"first": 1, "second": 3})
    wider.save(STATE)
    if earlier:
        path = tmp_path / "checkpoints" / "step-0000000012.npz"
        with np.load(path) as archive:
            # A file holds its variables in their order.
            rename_as_earlier_versions(path, [name for name in archive.files if name != "state"])
    checkpoints, model = checkpoints_of_layers(tmp_path, {"first": 1, "second": 2})
    before = [weights.tobytes() for weights in model.get_weights()]
    message = (
        r"step-0000000012\.npz: model/stack/second/kernel: got shape \(1, 3\), expected \(1, 2\): "
        "the checkpoint is of another model"
    )
    with pytest.raises(DataError, match=message):
        checkpoints.restore(str(tmp_path))
    assert [weights.tobytes() for weights in model.get_weights()] == before


@pytest.mark.parametrize(
    ("held", "expected", "message"),
    [
        ({"a": 1, "b": 1}, {"a": 1}, "it has model/stack/b/bias"),
        ({"a": 1}, {"a": 1, "b": 1}, "it lacks model/stack/b/bias"),
    ],
)
def test_a_checkpoint_of_other_variables_is_an_error(tmp_path, held, expected, message):
    checkpoints_of_layers(tmp_path, held)[0].save(STATE)
    with pytest.raises(DataError, match=f"{message}: the checkpoint is of another model"):
        checkpoints_of_layers(tmp_path, expected)[0].restore(str(tmp_path))


def test_a_run_whose_checkpoint_does_not_fit_stops(data, unfinished, capsys):
    newest = unfinished / "checkpoints" / saved(unfinished)[-1]
    with np.load(newest) as archive:
        content = dict(archive)
    content["model/lstm_2/lstm_cell/bias"] = np.zeros(16, np.float32)
    np.savez(newest, **content)
    assert run(data, unfinished) == 1
    error = capsys.readouterr().err
    assert "model/lstm_2/lstm_cell/bias: got shape (16,), expected (12,)" in error
    assert saved(unfinished)[-1] == newest.name


def test_the_best_weights_come_back_without_the_optimizer(tmp_path, small_model):
    model, optimizer = small_model
    checkpoints = Checkpoints(str(tmp_path), *stored(model, optimizer), Interval(steps=1), 2)
    model.set_weights([np.array([[1.0, 2.0]]), np.array([3.0, 4.0])])
    checkpoints.save_best()
    model.set_weights([np.array([[5.0, 6.0]]), np.array([7.0, 8.0])])
    optimizer.iterations.assign(9)
    checkpoints.restore_best()
    assert [weight.tolist() for weight in model.get_weights()] == [[[1.0, 2.0]], [3.0, 4.0]]
    assert int(optimizer.iterations) == 9


def epochs_of(*losses):
    return tuple(
        Epoch(number, Score(loss, 0.5), None, 2.0, 50.0, 0.25, 0.01)
        for number, loss in enumerate(losses, start=1)
    )


@pytest.mark.parametrize(
    ("losses", "steps", "best", "left"),
    [
        # Each checkpoint: the losses of its epochs, the steps of the one it is in.
        (((3,), (3, 2)), (0, 0), 2, [1, 2]),  # The newest ends the best epoch.
        (((2,), (2, 3)), (0, 0), 1, [1, 2]),  # One before it does.
        (((2,), (2, 3)), (0, 5), 1, [1, 2]),
        (((3,), (3, 2, 4)), (0, 0), 1, [1]),  # That of epoch 2 is gone: back to the end of 1.
        (((), (3, 2)), (5, 5), None, [1]),  # Back into epoch 1.
        (((3, 2), (3, 2)), (1, 2), None, []),  # Back to the beginning.
    ],
)
def test_best_weights_are_made_anew_with_few_steps(
    tmp_path, small_model, capsys, losses, steps, best, left
):
    model, optimizer = small_model
    checkpoints = Checkpoints(str(tmp_path), *stored(model, optimizer), Interval(steps=1), 9)
    for number, (epochs, step) in enumerate(zip(losses, steps, strict=True), start=1):
        model.set_weights([np.full((1, 2), number), np.full(2, number)])
        state = TrainState(len(epochs) + 1, step, number, epochs=epochs_of(*epochs))
        checkpoints.save(state)
    went_on_from = checkpoints.restore(str(tmp_path))
    assert went_on_from.total_steps == max(left, default=0)
    assert "best.npz: broken, making the best weights anew: [Errno 2]" in capsys.readouterr().err
    assert saved(tmp_path) == [f"step-{number:010}.npz" for number in left]
    if best is None:
        assert not (tmp_path / "checkpoints" / "best.npz").exists()
        with pytest.raises(DataError, match=r"best\.npz: broken: .*; give the same command again"):
            checkpoints.restore_best()
    else:
        checkpoints.restore_best()
        assert model.get_weights()[1].tolist() == [best, best]


def test_a_worker_gets_the_best_weights_of_the_chief(tmp_path, small_model):
    model, optimizer = small_model
    chief, worker = (
        Checkpoints(str(tmp_path / name), *stored(model, optimizer), Interval(steps=1), 9)
        for name in ("chief", "worker")
    )
    model.set_weights([np.full((1, 2), 7), np.full(2, 7)])
    chief.save_best()
    chief.save(TrainState(2, 0, 3, epochs=epochs_of(2)))
    model.set_weights([np.full((1, 2), 8), np.full(2, 8)])
    chief.save(TrainState(2, 1, 4, epochs=epochs_of(2)))
    worker.restore(str(tmp_path / "chief"))
    worker.restore_best()
    assert model.get_weights()[1].tolist() == [7, 7]


def test_the_newest_stay_and_a_save_is_due_after_so_many_steps(tmp_path, small_model):
    model, optimizer = small_model
    checkpoints = Checkpoints(str(tmp_path), *stored(model, optimizer), Interval(steps=4), 2)
    for step in range(1, 15):
        checkpoints.confirm()
        checkpoints.save_if_due(TrainState(total_steps=step))
    assert saved(tmp_path) == ["step-0000000008.npz", "step-0000000012.npz"]


def test_an_unconfirmed_checkpoint_replaces_none_and_can_be_discarded(tmp_path, small_model):
    model, optimizer = small_model
    checkpoints = Checkpoints(str(tmp_path), *stored(model, optimizer), Interval(steps=1), 1)
    checkpoints.save(TrainState(total_steps=3, step=3))
    checkpoints.confirm()
    checkpoints.save(TrainState(total_steps=4, step=4))
    assert saved(tmp_path) == ["step-0000000003.npz", "step-0000000004.npz"]
    # One that an earlier process left is unconfirmed, too.
    again = Checkpoints(str(tmp_path), *stored(model, optimizer), Interval(steps=1), 1)
    assert again.restore(str(tmp_path)).total_steps == 4
    again.discard_unconfirmed()
    assert saved(tmp_path) == ["step-0000000003.npz"]
    again.discard_unconfirmed()
    assert saved(tmp_path) == ["step-0000000003.npz"]


def test_a_save_is_due_after_so_many_seconds(tmp_path, monkeypatch, small_model):
    seconds = [100.0]
    monkeypatch.setattr("trainer.training.checkpoint.time.monotonic", lambda: seconds[-1])
    model, optimizer = small_model
    checkpoints = Checkpoints(str(tmp_path), *stored(model, optimizer), Interval(seconds=30), 2)
    for second, step in ((129.0, 1), (130.0, 2), (159.0, 3), (161.0, 4)):
        seconds.append(second)
        checkpoints.save_if_due(TrainState(total_steps=step))
    assert saved(tmp_path) == ["step-0000000002.npz", "step-0000000004.npz"]

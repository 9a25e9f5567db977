"""A training that diverges ends at once, with a sentence, and keeps no broken weights."""

from __future__ import annotations

import json
import math
import threading
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from charseq.errors import DataError
from deploy.support.workers import tf_configs
from tests.support.datasets import toy_rows, write_dataset
from tests.support.processes import Process
from trainer.__main__ import main
from trainer.settings import Settings
from trainer.steps.metrics import Score
from trainer.training.divergence import check_sound, largest_sound_loss
from trainer.training.loop import TrainingLoop
from trainer.training.state import Epoch, TrainState

# Six steps an epoch, in calls of 2.
ROWS, BATCH = 96, 16
FLAGS = [
    "--representation",
    "embedding",
    "--batch-size",
    str(BATCH),
    "--units",
    "4",
    "--epochs",
    "2",
    "--optimizer",
    "sgd",
]
FLAGS += ["--steps-per-execution", "2", "--jit-compile", "off"]
BROKEN = 1e38


@pytest.mark.unit
@pytest.mark.parametrize("loss", [0.0, 0.7, 1609.4])
def test_a_poor_loss_is_sound(loss):
    check_sound(loss, 5, "in steps 1 to 2", Settings(data=(), output=""))


@pytest.mark.unit
@pytest.mark.parametrize("loss", [1609.5, math.inf, math.nan])
def test_a_loss_far_above_that_of_guessing_is_an_error(loss):
    assert largest_sound_loss(5) == pytest.approx(1000 * math.log(5))
    config = Settings(data=(), output="", learning_rate=0.5, clip_norm=2.5)
    message = rf"loss {loss:.4g} in steps 3 to 4 with --learning-rate 0\.5, --clip-norm 2\.5:"
    with pytest.raises(DataError, match=message):
        check_sound(loss, 5, "in steps 3 to 4", config)


@pytest.mark.unit
def test_one_label_has_a_bound_too():
    assert largest_sound_loss(1) == largest_sound_loss(2) > 600


@pytest.mark.unit
def test_a_run_that_diverged_in_an_earlier_version_is_not_gone_on_with(tmp_path):
    manifest = SimpleNamespace(records=lambda _: 4, labels=("x", "y"))
    batches: Any = SimpleNamespace(count=lambda _: 1, manifest=manifest)
    checkpoints: Any = SimpleNamespace(output=str(tmp_path), discard_unconfirmed=lambda: None)
    diverged = Epoch(1, Score(math.inf, 0.5), None, 2.0, 2.0, 0.0, 0.01)
    state = TrainState(epoch=2, epochs=(diverged,))
    config, steps = Settings(data=(), output="", epochs=1), SimpleNamespace()
    loop = TrainingLoop(config, batches, cast(Any, steps), checkpoints, threading.Event(), state)
    with pytest.raises(DataError, match="loss inf in epoch 1 with --learning-rate"):
        loop.run()


@pytest.fixture(scope="module")
def rows():
    return toy_rows(ROWS + 20)


@pytest.fixture(scope="module")
def data(rows, tmp_path_factory):
    splits = {"train": rows[:ROWS], "validation": rows[ROWS:]}
    directory = tmp_path_factory.mktemp("prepared")
    write_dataset(directory, splits, transform=True)
    return directory


def train(data, output, *flags):
    return main(["--data", str(data), "--output", str(output), *FLAGS, *flags])


def break_after(monkeypatch, step):
    """Let the steps after `step` break the weights."""
    monkeypatch.setattr(
        "trainer.training.loop.learning_rate",
        lambda _, state, __: BROKEN if state.total_steps >= step else 0.01,
    )


def names(output):
    return sorted(path.name for path in output.iterdir())


def checkpoints(output):
    return sorted(path.name for path in (output / "checkpoints").iterdir())


def assert_sound(output):
    """All that is left can be gone on from, and is JSON."""
    for path in (output / "checkpoints").iterdir():
        with np.load(path) as archive:
            for name in archive.files:
                if name.endswith(("kernel", "bias", "embeddings")):
                    assert np.abs(archive[name]).max() < 1e6
    for path in output.glob("*.json*"):
        json.loads(path.read_text(), parse_constant=pytest.fail)


def test_a_rate_that_is_too_high_ends_the_first_epoch(data, tmp_path, capsys):
    assert train(data, tmp_path / "run", "--learning-rate", "1e38", "--clip-norm", "1e30") == 1
    captured = capsys.readouterr()
    assert "epoch 1/2" not in captured.out
    *warnings, error = captured.err.splitlines()
    assert all(line.startswith("warning: ") for line in warnings)
    assert error.startswith("error: the training diverged: loss ")
    assert " in steps 1 to 2 with --learning-rate 1e+38, --clip-norm 1e+30: " in error
    assert names(tmp_path / "run") == ["options.toml", "run.json.partial"]


def test_no_checkpoint_of_broken_weights_replaces_a_sound_one(data, tmp_path, monkeypatch, capsys):
    break_after(monkeypatch, 8)
    flags = ["--checkpoint-every", "2", "--keep", "1"]
    assert train(data, tmp_path / "run", *flags) == 1
    assert "in steps 9 to 10" in capsys.readouterr().err
    # That after step 8 is not confirmed, as no loss of its weights is known to be sound.
    assert checkpoints(tmp_path / "run") == ["best.npz", "step-0000000006.npz"]
    assert names(tmp_path / "run") == [
        *("checkpoints", "logs", "metrics.csv", "metrics.json"),
        *("options.toml", "run.json.partial"),
    ]
    assert_sound(tmp_path / "run")
    break_after(monkeypatch, 100)
    assert train(data, tmp_path / "run", *flags) == 0
    assert "going on in epoch 2 after 0 of its steps" in capsys.readouterr().out
    assert checkpoints(tmp_path / "run") == ["best.npz", "step-0000000012.npz"]


def test_a_checkpoint_that_a_killed_run_left_broken_is_removed(data, tmp_path, capsys):
    """As if it had been killed between an update that broke the weights and the next loss."""
    flags = ["--checkpoint-every", "2"]
    with pytest.MonkeyPatch.context() as patch:
        break_after(patch, 8)
        assert train(data, tmp_path / "run", *flags) == 1
    folder = tmp_path / "run" / "checkpoints"
    with np.load(folder / "step-0000000004.npz") as archive:
        content = dict(archive)
    broken = {
        name: values * np.float32(np.nan) for name, values in content.items() if "kernel" in name
    }
    state = json.loads(str(content["state"]))
    state.update(total_steps=8, step=2, epoch=2)
    np.savez(
        folder / "step-0000000008.npz",
        **{**content, **broken, "state": np.array(json.dumps(state))},
    )
    assert train(data, tmp_path / "run", *flags) == 1
    assert "loss nan in steps 9 to 10" in capsys.readouterr().err
    assert "step-0000000008.npz" not in checkpoints(tmp_path / "run")
    assert_sound(tmp_path / "run")


def test_the_validation_shows_that_the_last_step_broke_the_weights(
    data, tmp_path, monkeypatch, capsys
):
    break_after(monkeypatch, 10)
    monkeypatch.setattr("trainer.training.loop.TrainingLoop._check_steps", lambda *_: None)
    assert train(data, tmp_path / "run") == 1
    assert "on validation after step 12 with" in capsys.readouterr().err
    assert checkpoints(tmp_path / "run") == ["best.npz", "step-0000000006.npz"]
    assert_sound(tmp_path / "run")


def test_without_a_validation_split_the_last_step_is_checked_too(
    rows, tmp_path, monkeypatch, capsys
):
    # One step an epoch: its loss is that of the weights before it.
    write_dataset(tmp_path / "data", {"train": rows[:BATCH]}, transform=True)
    break_after(monkeypatch, 1)
    assert train(tmp_path / "data", tmp_path / "run") == 1
    assert " after step 2 with --learning-rate 0.01" in capsys.readouterr().err
    assert checkpoints(tmp_path / "run") == ["best.npz", "step-0000000001.npz"]
    assert_sound(tmp_path / "run")


@pytest.mark.engine
def test_all_workers_end_when_a_training_diverges(data, tmp_path):
    flags = ["--learning-rate", "1e38", "--output", str(tmp_path / "run")]
    processes = [
        Process(main, ["--data", str(data), *FLAGS, *flags], environment={"TF_CONFIG": config})
        for config in tf_configs(2)
    ]
    outputs = [process.communicate(timeout=240) for process in processes]
    assert [process.returncode for process in processes] == [1, 1], outputs
    assert all("the training diverged: loss" in errors for _, errors in outputs)
    assert names(tmp_path / "run") == ["options.toml", "run.json.partial"]

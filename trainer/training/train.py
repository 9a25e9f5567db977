"""A training run from an empty directory, or an unfinished one, to an exported model."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import keras
import tensorflow as tf

from charseq.console.messages import print_error
from charseq.errors import DataError
from charseq.files import directory_lock
from trainer.baseline.training import train_baseline
from trainer.config import Config
from trainer.data.batches import Batches, resolve_batch_size
from trainer.data.dataset import Dataset
from trainer.data.records import read_errors_as_data_error
from trainer.data.representation import resolve_representation
from trainer.export.saved_model import export
from trainer.export.serving_model import TextEncoder
from trainer.owner import Ownership, owned_directory
from trainer.replacement import begin_run, replace_run, work_directory
from trainer.run_checks import can_resume, check_output, reproducibility_warning
from trainer.run_directory import complete_run, resume_run
from trainer.run_files import sync_run_files
from trainer.run_warnings import accuracy_warnings, dataset_warnings, update_warnings
from trainer.training.build import (
    balanced_weights,
    build_optimizer,
    exported_model,
    training_model,
)
from trainer.training.checkpoint import Checkpoints
from trainer.training.distributed import (
    check_equal_on_workers,
    chief_output_dir,
    is_chief,
    make_strategy,
    resolve_jit_compile,
    sigterm_event,
    strategy_name,
    wait_for_workers,
    worker_loss_as_data_error,
)
from trainer.training.loop import TrainingLoop
from trainer.training.replica import Objective, Replica
from trainer.training.run_description import describe_run
from trainer.training.state import TrainState, best_epoch
from trainer.training.steps import Steps


@dataclass(frozen=True)
class Setup:
    """The options and the dataset of a run, and what they are resolved to."""

    config: Config
    dataset: Dataset
    representation: str
    strategy: tf.distribute.Strategy
    jit_compile: bool
    batch_size: int


def train(config: Config, dataset: Dataset) -> None:
    """Train on a dataset, export the model, and leave a complete run in `config.output`.

    Raises:
        DataError: the records do not fit the representation, a device does not exist, another run
            is in the directory, a shard is corrupted, a worker is lost, or the transform graph
            does not give the ids that the records hold.
        Preempted: SIGTERM came, and what was done is saved.
    """
    representation = resolve_representation(config.representation, dataset)
    strategy = make_strategy(config.strategy, config.devices)
    jit_compile = resolve_jit_compile(config.jit_compile, strategy)
    rows = dataset.manifest.records("train")
    batch_size = resolve_batch_size(config.batch_size, rows, strategy.num_replicas_in_sync)
    setup = Setup(config, dataset, representation, strategy, jit_compile, batch_size)
    with (
        worker_loss_as_data_error(),
        chief_output_dir(strategy, config.output) as output,
        directory_lock(output) as locked,
        owned_directory(output, locked=locked) as ownership,
    ):
        check_output(output, config.overwrite)  # Once more: another run may just have ended.
        # First of all: it fails on what cannot be exported.
        encoder = TextEncoder(dataset, config.trust_model)
        directory = work_directory(output)
        resuming = open_run(setup, directory)
        print_notes(setup)
        print_warnings(strategy, begin_warnings(setup))
        wait_for_workers(strategy)
        train_in(setup, directory, encoder, resuming, ownership)
        sync_run_files(directory)
        complete_run(output) if directory == output else replace_run(output)
        wait_for_workers(strategy)


def print_notes(setup: Setup) -> None:
    """Print, on standard error, what is computed otherwise than was requested."""
    requested, device = setup.config, setup.strategy.extended.worker_devices[0]
    notes = []
    if setup.batch_size != requested.batch_size:
        notes.append(
            f"--batch-size {requested.batch_size:,} is more than the train split has rows: a batch "
            f"holds all {setup.batch_size:,}"
        )
    if requested.strategy == "mirrored" and strategy_name(setup.strategy) == "none":
        notes.append(f"--strategy mirrored on one device, {device.split('device:')[1]}, is none")
    if requested.strategy == "multi_worker" and strategy_name(setup.strategy) != "multi_worker":
        notes.append("--strategy multi_worker with one worker is a run on this machine alone")
    if is_chief(setup.strategy):
        for note in notes:
            print_error(f"note: {note}")


def begin_warnings(setup: Setup) -> Iterator[str]:
    """Yield what is wrong with the dataset or the options of a run."""
    manifest = setup.dataset.manifest
    steps_per_epoch = math.ceil(manifest.records("train") / setup.batch_size)
    yield from dataset_warnings(manifest)
    yield from update_warnings(steps_per_epoch * setup.config.epochs)


def end_warnings(setup: Setup, state: TrainState) -> Iterator[str]:
    """Yield what is wrong with the exported model."""
    if validation := best_epoch(state.epochs).validation:
        yield from accuracy_warnings(validation.accuracy, setup.dataset.manifest)


def print_warnings(strategy: tf.distribute.Strategy, warnings: Iterable[str]) -> None:
    """Print warnings on standard error, unless another worker does."""
    if is_chief(strategy):
        for warning in warnings:
            print_error(f"warning: {warning}")


def train_in(
    setup: Setup, directory: str, encoder: TextEncoder, resuming: bool, ownership: Ownership
) -> None:
    """Train and export into the directory of a run that is open.

    Nothing is saved once the dataset has been replaced, or another process owns the directory.

    Raises:
        DataError, Preempted: as `train`.
    """

    def check() -> None:
        setup.dataset.check_unchanged()
        ownership.check()

    config = setup.config
    model, optimizer = build(setup)
    checkpoints = Checkpoints(
        directory, model, optimizer, config.checkpoint_every, config.keep, check
    )
    state = restore(setup, checkpoints, resuming)
    state = fit(setup, model, optimizer, checkpoints, state)
    print_warnings(setup.strategy, end_warnings(setup, state))
    check()
    if is_chief(setup.strategy):
        train_baseline(setup.dataset, directory)
    checkpoints.restore_best()
    export_model(setup, directory, model, encoder)
    ownership.check()


def open_run(setup: Setup, directory: str) -> bool:
    """Write `run.json.partial`; return whether the run continues an unfinished one.

    Raises:
        DataError: an unfinished run is there that was made with other options or another dataset.
    """
    config = setup.config
    description = describe_run(
        config,
        setup.dataset,
        setup.strategy,
        representation=setup.representation,
        jit_compile="on" if setup.jit_compile else "off",
        batch_size=setup.batch_size,
    )
    if not can_resume(directory, description, config.resume, config.overwrite):
        begin_run(directory, description)
        return False
    if warning := reproducibility_warning(directory, description):
        print_error(warning)
    resume_run(directory, description)
    return True


def build(setup: Setup) -> tuple[keras.Model, keras.optimizers.Optimizer]:
    """Return the model and its optimizer, with first weights that follow from the seed."""
    config, manifest = setup.config, setup.dataset.manifest
    keras.utils.set_random_seed(config.seed)
    tf.config.experimental.enable_op_determinism()
    if config.mixed_precision:
        keras.config.set_dtype_policy("mixed_bfloat16")
    with setup.strategy.scope():
        model = training_model(
            manifest, setup.representation, config, jit_compile=setup.jit_compile
        )
        return model, build_optimizer(config, model)


def restore(setup: Setup, checkpoints: Checkpoints, resuming: bool) -> TrainState:
    """Restore the newest checkpoint, if there is one, and return the state to begin with.

    Raises:
        DataError: the workers see different checkpoints, or more epochs are done than requested.
    """
    config = setup.config
    # Of `config.output`, which is the chief's: other workers write elsewhere, and have none.
    state = checkpoints.restore(work_directory(config.output))
    what = "the steps of the newest checkpoint"
    check_equal_on_workers(setup.strategy, state.total_steps, what)
    if len(state.epochs) > config.epochs:
        raise DataError(f"--epochs: got {config.epochs}, but {len(state.epochs)} are done")
    if resuming:
        print(f"going on in epoch {state.epoch} after {state.step} of its steps", flush=True)
    return state


def fit(
    setup: Setup,
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    checkpoints: Checkpoints,
    state: TrainState,
) -> TrainState:
    """Train from `state` to the end of the last epoch, and return the state there.

    Raises:
        DataError: a shard cannot be read.
        Preempted: SIGTERM came, and what was done is saved.
    """
    config, dataset = setup.config, setup.dataset
    batches = Batches(dataset, setup.representation, setup.batch_size, config.seed, config.cache)
    with read_errors_as_data_error(dataset), sigterm_event() as preempted:
        steps = make_steps(setup, model, optimizer)
        loop = TrainingLoop(config, batches, steps, checkpoints, preempted, state)
        loop.run()
    return loop.state


def make_steps(setup: Setup, model: keras.Model, optimizer: keras.optimizers.Optimizer) -> Steps:
    """Return the steps of a run."""
    config, manifest = setup.config, setup.dataset.manifest
    class_weights = balanced_weights(manifest) if config.class_weights == "balanced" else None
    replica = Replica(
        Objective(model, class_weights, jit_compile=setup.jit_compile),
        optimizer,
        num_replicas=setup.strategy.num_replicas_in_sync,
        batch_size=setup.batch_size,
        clip_norm=config.clip_norm,
    )
    return Steps(setup.strategy, replica, config.steps_per_execution)


def export_model(setup: Setup, directory: str, model: keras.Model, encoder: TextEncoder) -> None:
    """Export a copy of the model in float32, made outside the scope of the strategy.

    Raises:
        DataError: the exported model does not predict what the model predicts.
    """
    keras.config.set_dtype_policy("float32")
    plain = exported_model(setup.dataset.manifest, setup.representation, setup.config)
    plain.set_weights(model.get_weights())
    export(directory, plain, encoder, setup.representation, setup.dataset)

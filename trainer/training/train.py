"""A training run from an empty directory, or an unfinished one, to an exported model."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import tensorflow as tf

from charseq.console.messages import print_error
from charseq.errors import DataError
from charseq.files import directory_lock
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
from trainer.steps.steps import Steps
from trainer.training.build import Learner, build_learner
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
from trainer.training.run_description import describe_run
from trainer.training.state import TrainState


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
    learner = build(setup)
    checkpoints = Checkpoints(
        directory,
        learner.model_variables,
        learner.optimizer_variables,
        config.checkpoint_every,
        config.keep,
        check,
    )
    state = restore(setup, checkpoints, resuming)
    fit(setup, learner, checkpoints, state)
    check()
    checkpoints.restore_best()
    keras.config.set_dtype_policy("float32")
    export(directory, learner.to_keras(), encoder, setup.representation, setup.dataset)
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


def build(setup: Setup) -> Learner:
    """Return what the run trains, with first weights that follow from the seed."""
    config = setup.config
    keras.utils.set_random_seed(config.seed)
    tf.config.experimental.enable_op_determinism()
    if config.mixed_precision:
        keras.config.set_dtype_policy("mixed_bfloat16")
    with setup.strategy.scope():
        return build_learner(
            config,
            setup.dataset.manifest,
            setup.strategy,
            representation=setup.representation,
            batch_size=setup.batch_size,
            jit_compile=setup.jit_compile,
        )


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


def fit(setup: Setup, learner: Learner, checkpoints: Checkpoints, state: TrainState) -> None:
    """Train from `state` to the end of the last epoch.

    Raises:
        DataError: a shard cannot be read.
        Preempted: SIGTERM came, and what was done is saved.
    """
    config, dataset = setup.config, setup.dataset
    batches = Batches(dataset, setup.representation, setup.batch_size, config.seed, config.cache)
    steps = Steps(setup.strategy, learner.replica, config.steps_per_execution)
    with read_errors_as_data_error(dataset), sigterm_event() as preempted:
        TrainingLoop(
            config, batches, steps, checkpoints, preempted, state, learner.before_validation
        ).run()

"""A training run from an empty directory, or an unfinished one, to an exported model."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import keras
import tensorflow as tf

from charseq.chain import alone_note
from charseq.console.messages import print_error
from charseq.errors import DataError
from charseq.files import directory_lock, write_text
from charseq.options_file import OPTIONS_FILE
from charseq.process.machine import format_bytes
from trainer.baseline.training import BaselineTraining
from trainer.calibration.fit import describe_calibration
from trainer.calibration.scale import divide_scores
from trainer.config import NGRAMS, Config
from trainer.data.batches import Batches, count_batches, resolve_batch_size
from trainer.data.dataset import Dataset
from trainer.data.records import read_errors_as_data_error
from trainer.export.reference import make_reference
from trainer.export.saved_model import export
from trainer.export.serving_model import TextEncoder
from trainer.ngrams.counting import count_train_rows
from trainer.owner import Ownership, owned_directory
from trainer.parent import Parent
from trainer.replacement import begin_run, replace_run, work_directory
from trainer.run_checks import can_resume, check_output, reproducibility_warning
from trainer.run_directory import SAVED_MODEL, complete_run, resume_run
from trainer.run_files import sync_run_files
from trainer.run_warnings import accuracy_warnings, dataset_warnings, update_warnings
from trainer.settings import Settings, describe_settings, resolve
from trainer.steps.shares import num_parts
from trainer.steps.steps import Steps
from trainer.training.build import Learner, build_learner, ngram_size
from trainer.training.checkpoint import Checkpoints
from trainer.training.distributed import (
    check_equal_on_workers,
    chief_output_dir,
    is_chief,
    make_strategy,
    report_lost_worker,
    resolve_jit_compile,
    sigterm_event,
    strategy_name,
    wait_for_workers,
)
from trainer.training.loop import TrainingLoop
from trainer.training.run_description import describe_run
from trainer.training.state import TrainState, best_epoch
from trainer.training.warm_start import begin_with_weights_of

# The share of the characters of train rows that become unknown, so that their vector is learned; of
# n-grams only, as other runs of earlier versions must end with the weights that they began for.
_UNKNOWN_RATE = 0.005


@dataclass(frozen=True)
class Setup:
    """The options of a run, as requested and as resolved, and what it is made of."""

    requested: Config
    settings: Settings
    dataset: Dataset
    parent: Parent | None
    strategy: tf.distribute.Strategy
    jit_compile: bool


@report_lost_worker()
def train(config: Config, dataset: Dataset, parent: Parent | None = None) -> None:
    """Train on a dataset, export the model, and leave a complete run in `config.output`.

    parent: the run whose weights it begins with.

    Raises:
        DataError: the records do not fit the representation, a device does not exist, another run
            is in the directory, a shard is corrupted, or the transform graph does not give the ids
            that the records hold.
        LostWorkerError: another worker has ended or does not answer.
        Preempted: SIGTERM came, and what was done is saved.
    """
    settings = resolve(config, dataset, parent)
    strategy = make_strategy(config.strategy, config.devices)
    jit_compile = resolve_jit_compile(config.jit_compile, strategy)
    rows = dataset.manifest.records("train")
    batch_size = resolve_batch_size(settings.batch_size, rows)
    settings = replace(settings, batch_size=batch_size)
    setup = Setup(config, settings, dataset, parent, strategy, jit_compile)
    with (
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
        print(describe_settings(setup.settings, dataset.manifest), flush=True)
        print_warnings(strategy, begin_warnings(setup))
        wait_for_workers(strategy)
        train_in(setup, directory, encoder, resuming, ownership)
        sync_run_files(directory)
        complete_run(output) if directory == output else replace_run(output)
        wait_for_workers(strategy)


def print_notes(setup: Setup) -> None:
    """Print, on standard error, what is computed otherwise than was requested."""
    requested, device = setup.requested, setup.strategy.extended.worker_devices[0]
    alone = alone_note(setup.dataset.directory, setup.dataset.manifest)
    notes = [alone] if alone else []
    batch_size = setup.settings.batch_size
    if requested.batch_size and requested.batch_size != batch_size:
        notes.append(
            f"--batch-size {requested.batch_size:,} is more than the train split has rows: a batch "
            f"holds all {batch_size:,}"
        )
    if requested.strategy == "mirrored" and strategy_name(setup.strategy) == "none":
        notes.append(f"--strategy mirrored on one device, {device.split('device:')[1]}, is none")
    if requested.strategy == "multi_worker" and strategy_name(setup.strategy) != "multi_worker":
        notes.append("--strategy multi_worker with one worker is a run on this machine alone")
    parts, replicas = num_parts(batch_size), setup.strategy.num_replicas_in_sync
    if setup.jit_compile and replicas > parts:
        notes.append(
            f"a batch of {batch_size:,} rows has {parts} parts: {replicas - parts} of {replicas} "
            "replicas have nothing to compute; a larger --batch-size has more"
        )
    representation = setup.settings.representation
    notes += [
        f"{flag} changes nothing with --representation {representation}"
        for flag in ignored_flags(requested, representation)
    ]
    if is_chief(setup.strategy):
        for note in notes:
            print_error(f"note: {note}")


def ignored_flags(requested: Config, representation: str) -> Iterator[str]:
    """Yield the flags that a run sets though its representation has no use for them."""
    if representation == NGRAMS:
        if requested.mixed_precision:
            yield "--mixed-precision"
        return
    for name in ("ngram_buckets", "ngram_dropout", "ensemble"):
        if getattr(requested, name) is not None:
            yield f"--{name.replace('_', '-')}"


def begin_warnings(setup: Setup) -> Iterator[str]:
    """Yield what is wrong with the dataset or the options of a run."""
    manifest = setup.dataset.manifest
    steps_per_epoch = count_batches(manifest, "train", setup.settings.batch_size)
    yield from dataset_warnings(manifest)
    yield from update_warnings(steps_per_epoch * setup.settings.epochs)


def end_warnings(setup: Setup, state: TrainState) -> Iterator[str]:
    """Yield what is wrong with the exported model."""
    if validation := best_epoch(state.epochs, setup.settings.best_by).validation:
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

    settings = setup.settings
    baseline = BaselineTraining(setup.dataset) if is_chief(setup.strategy) else None
    learner = build(setup)
    checkpoints = Checkpoints(
        directory,
        learner.model_variables,
        learner.optimizer_variables,
        settings.checkpoint_every,
        settings.keep,
        settings.best_by,
        check,
    )
    state = restore(setup, checkpoints, resuming)
    if setup.parent and not state.total_steps:
        labels = setup.dataset.manifest.labels
        begin_with_weights_of(setup.parent, learner, checkpoints, labels)
    state = fit(setup, learner, checkpoints, state)
    print_warnings(setup.strategy, end_warnings(setup, state))
    check()
    if baseline:
        baseline.save(directory)
    checkpoints.restore_best()
    keras.config.set_dtype_policy("float32")
    model, representation = learner.to_keras(), settings.representation
    reference = make_reference(model, representation, setup.dataset)
    if reference:
        divide_scores(model, representation, reference.calibration.temperature)
    print(describe_calibration(reference.calibration if reference else None), flush=True)
    size = export(directory, model, encoder, representation, setup.dataset, reference)
    print(f"{SAVED_MODEL}: exported, {format_bytes(size)}", flush=True)
    ownership.check()


def open_run(setup: Setup, directory: str) -> bool:
    """Write `run.json.partial`; return whether the run continues an unfinished one.

    Raises:
        DataError: an unfinished run is there that was made with other options or another dataset.
    """
    settings = setup.settings
    description = describe_run(
        setup.requested,
        setup.dataset,
        setup.strategy,
        setup.parent,
        jit_compile="on" if setup.jit_compile else "off",
        **settings.chosen(),
    )
    if not can_resume(directory, description, settings.resume, settings.overwrite):
        begin_run(directory, description)
        _write_options(setup, directory)
        return False
    if warning := reproducibility_warning(directory, description):
        print_error(warning)
    resume_run(directory, description)
    _write_options(setup, directory)
    return True


def _write_options(setup: Setup, directory: str) -> None:
    write_text(os.path.join(directory, OPTIONS_FILE), setup.requested.to_toml())


def build(setup: Setup) -> Learner:
    """Return what the run trains, with first weights that follow from the seed.

    Raises:
        DataError: a shard cannot be read.
    """
    settings, dataset = setup.settings, setup.dataset
    counts = None
    if settings.representation == NGRAMS:
        with read_errors_as_data_error(dataset):
            counts = count_train_rows(dataset, ngram_size(settings, dataset.manifest))
    keras.utils.set_random_seed(settings.seed)
    tf.config.experimental.enable_op_determinism()
    if settings.mixed_precision:
        keras.config.set_dtype_policy("mixed_bfloat16")
    with setup.strategy.scope():
        return build_learner(
            settings,
            dataset.manifest,
            setup.strategy,
            jit_compile=setup.jit_compile,
            counts=counts,
        )


def restore(setup: Setup, checkpoints: Checkpoints, resuming: bool) -> TrainState:
    """Restore the newest checkpoint, if there is one, and return the state to begin with.

    Raises:
        DataError: the workers see different checkpoints, or more epochs are done than requested.
    """
    settings = setup.settings
    # Of `settings.output`, which is the chief's: other workers write elsewhere, and have none.
    state = checkpoints.restore(work_directory(settings.output))
    what = "the steps of the newest checkpoint"
    check_equal_on_workers(setup.strategy, state.total_steps, what)
    if len(state.epochs) > settings.epochs:
        raise DataError(f"--epochs: got {settings.epochs}, but {len(state.epochs)} are done")
    if resuming:
        print(f"going on in epoch {state.epoch} after {state.step} of its steps", flush=True)
    return state


def fit(setup: Setup, learner: Learner, checkpoints: Checkpoints, state: TrainState) -> TrainState:
    """Train from `state` to the end of the last epoch, and return the state there.

    Raises:
        DataError: a shard cannot be read.
        Preempted: SIGTERM came, and what was done is saved.
    """
    settings, dataset = setup.settings, setup.dataset
    batches = Batches(
        dataset,
        settings.representation,
        settings.batch_size,
        settings.seed,
        settings.cache,
        _UNKNOWN_RATE if settings.representation == NGRAMS else 0.0,
    )
    steps = Steps(setup.strategy, learner.replica, settings.steps_per_execution)
    with read_errors_as_data_error(dataset), sigterm_event() as preempted:
        loop = TrainingLoop(
            settings, batches, steps, checkpoints, preempted, state, learner.before_validation
        )
        loop.run()
    return loop.state

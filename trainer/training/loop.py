"""The training loop: many steps inside one tf.function, on one replica or on several.

A batch is split over the replicas of a strategy. Each replica sums over its own rows, the sums are
added up, and only then is there a mean: a row that fills up the last batch has weight 0, and a
replica that got only such rows does no harm.
"""

from __future__ import annotations

import platform
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from charseq.errors import DataError, Preempted
from charseq.files import directory_lock
from trainer.config import Config
from trainer.data.batches import (
    Batches,
    input_shape,
    resolve_representation,
    unreadable_as_data_error,
)
from trainer.data.manifest import Manifest
from trainer.export.saved_model import TextEncoder, export
from trainer.model.network import EmbeddingSize, build_model, build_xla_model
from trainer.run_checks import can_resume, check_output, version_warning
from trainer.run_directory import begin_run, complete_run, resume_run
from trainer.training.checkpoint import Checkpoints
from trainer.training.distributed import (
    any_worker,
    check_equal_on_workers,
    chief_output_dir,
    make_strategy,
    resolve_jit_compile,
    sigterm_event,
    strategy_name,
    wait_for_workers,
    worker_loss_as_data_error,
)
from trainer.training.history import History
from trainer.training.progress import Progress
from trainer.training.schedule import learning_rate, stops_early
from trainer.training.state import NO_METRICS, Score, TrainState, best_epoch
from trainer.training.steps import Steps

_OPTIMIZERS = {
    "rmsprop": keras.optimizers.RMSprop,
    "adam": keras.optimizers.Adam,
    "sgd": keras.optimizers.SGD,
}


def train(config: Config, manifest: Manifest) -> None:
    """Train on a dataset, export the model, and leave a complete run in `config.output`.

    Raises:
        DataError: the records do not fit the representation, a device is not there, another run is
            in the directory, a shard is corrupted, a worker is lost, or the transform graph does
            not give the ids that the records hold.
        Preempted: SIGTERM came, and what was done is saved.
    """
    representation = resolve_representation(config.representation, manifest)
    strategy = make_strategy(config.strategy, config.devices)
    with (
        worker_loss_as_data_error(),
        chief_output_dir(strategy, config.output) as output,
        directory_lock(output),
    ):
        check_output(output, config.overwrite)  # Once more: another run may just have ended.
        encoder = TextEncoder(manifest)  # First of all: it fails on what cannot be exported.
        jit_compile = resolve_jit_compile(config.jit_compile, strategy)
        description = describe_run(config, manifest, representation, strategy, jit_compile)
        resuming = can_resume(output, description, config.resume, config.overwrite)
        if resuming and (note := version_warning(output, description)):
            print(note, file=sys.stderr)
        (resume_run if resuming else begin_run)(output, description)
        wait_for_workers(strategy)

        keras.utils.set_random_seed(config.seed)
        tf.config.experimental.enable_op_determinism()
        if config.mixed_precision:
            keras.config.set_dtype_policy("mixed_bfloat16")
        with strategy.scope():
            model = model_for(manifest, representation, config, trained_compiled=jit_compile)
            optimizer = _OPTIMIZERS[config.optimizer](config.learning_rate)
            optimizer.build(model.trainable_variables)
        checkpoints = Checkpoints(output, model, optimizer, config.checkpoint_every, config.keep)
        start = checkpoints.restore(config.output)
        check_equal_on_workers(strategy, start.total_steps, "the steps of the newest checkpoint")
        if len(start.epochs) > config.epochs:
            raise DataError(f"--epochs: got {config.epochs}, but {len(start.epochs)} are done")
        if resuming:
            print(f"going on in epoch {start.epoch} after {start.step} of its steps", flush=True)
        batches = Batches(manifest, representation, config.batch_size, config.seed, config.cache)
        with unreadable_as_data_error(manifest), sigterm_event() as preempted:
            weights = balanced_weights(manifest) if config.class_weights == "balanced" else None
            steps = Steps(
                strategy, model, optimizer,
                batch_size=config.batch_size, jit_compile=jit_compile, class_weights=weights,
                clip_norm=config.clip_norm, steps_per_execution=config.steps_per_execution,
            )  # fmt: skip
            run_epochs(steps, batches, config, start, checkpoints, preempted)

        checkpoints.restore_best()
        # A copy made outside the scope: what is saved knows nothing of replicas.
        keras.config.set_dtype_policy("float32")
        plain = model_for(manifest, representation, config)
        plain.set_weights(model.get_weights())
        export(output, plain, encoder, representation, manifest)
        complete_run(output)
        wait_for_workers(strategy)


def run_epochs(
    steps: Steps,
    batches: Batches,
    config: Config,
    start: TrainState,
    checkpoints: Checkpoints,
    preempted: threading.Event,
) -> None:
    """Train and validate from a position to the end of the last epoch, and save on the way.

    Raises:
        Preempted: `preempted` is set, and what was done is saved.
    """
    rows, steps_per_epoch = batches.manifest.records("train"), batches.count("train")
    progress = Progress(config.epochs, rows, steps_per_epoch, start)

    def save_if_preempted(position: TrainState) -> None:
        if any_worker(steps.strategy, preempted.is_set()):
            checkpoints.save(position)
            raise Preempted(f"SIGTERM: saved after step {position.total_steps}")

    history = History(checkpoints.output, start.epochs)
    while start.epoch <= config.epochs and not stops_early(config, start.epochs):
        position = start  # A run may have been killed between its last step and its validation.
        for position in train_epoch(steps, batches, config, start):
            progress.update(position)
            save_if_preempted(position)
            checkpoints.save_if_due(position)
        for validation in validate(steps, batches):  # noqa: B007 - the last one counts
            save_if_preempted(position)
        rate = learning_rate(config, position, steps_per_epoch)
        epoch = position.measured(validation, rate)
        progress.clear()
        print(f"epoch {epoch.number}/{config.epochs}: {epoch}", flush=True)
        start = position.after_epoch(epoch)
        if best_epoch(start.epochs) is epoch:
            checkpoints.save_best()
        history.add(epoch)
        checkpoints.save(start)


def train_epoch(
    steps: Steps, batches: Batches, config: Config, position: TrainState
) -> Iterator[TrainState]:
    """Train on the rows of an epoch that are left at a position; yield every few steps."""
    started = time.monotonic() - position.seconds
    count = batches.count("train")
    left = batches.training(position.epoch, position.step)

    def rate() -> float:
        return learning_rate(config, position, count)

    for step, sums in steps.train(left, range(position.step, count), position.sums, rate):
        position = position.after_steps(step, sums, time.monotonic() - started)
        yield position


def validate(steps: Steps, batches: Batches) -> Iterator[Score | None]:
    """Measure on the validation split; yield every few steps, at last what all its rows give.

    None where there is no such split.
    """
    count = batches.count("validation")
    if not count:
        yield None
        return
    for _, sums in steps.evaluate(batches.evaluation("validation"), range(count), NO_METRICS):
        yield sums.score()


def balanced_weights(manifest: Manifest) -> list[float]:
    """A weight for each label, such that all weigh the same together: rows / (labels · its rows).

    As `class_weight="balanced"` of scikit-learn.
    """
    rows = manifest.records("train")
    counts = (manifest.train_label_counts.get(label, 0) for label in manifest.labels)
    return [rows / (len(manifest.labels) * max(count, 1)) for count in counts]


def model_for(
    manifest: Manifest, representation: str, config: Config, *, trained_compiled: bool | None = None
) -> keras.Model:
    """A new model for the records of a dataset.

    trained_compiled: for training with XLA (True) or without, else (None) to be exported. The
    weights are the same.
    """
    embedding = None
    if representation == "embedding":
        embedding = EmbeddingSize(manifest.unknown_id + 1, config.embedding_dim)
    timesteps, *features = input_shape(representation, manifest)
    build = build_xla_model if trained_compiled else build_model
    # Not compiled, batches are cut at their longest row.
    shape = (None if trained_compiled is False else timesteps, *features)
    return build(
        shape, len(manifest.labels), config.units, embedding=embedding, dropout=config.dropout
    )


def describe_run(
    config: Config,
    manifest: Manifest,
    representation: str,
    strategy: tf.distribute.Strategy,
    jit_compile: bool,
) -> dict[str, Any]:
    """What `run.json` says: every option as it was resolved, the dataset, the versions.

    asked: the options that another machine may resolve to something else, as they were given.
    """
    asked = config.to_json()
    resolved = {
        "representation": representation,
        "jit_compile": "on" if jit_compile else "off",
        "strategy": strategy_name(strategy),
        "devices": [name.split("device:")[1] for name in strategy.extended.worker_devices],
    }
    return {
        "options": {**asked, **resolved, "replicas": strategy.num_replicas_in_sync},
        "asked": {name: asked[name] for name in resolved},
        "dataset": {
            "fingerprint": manifest.fingerprint,
            "encoding": manifest.encoding,
            "max_length": manifest.max_length,
            "alphabet_size": manifest.alphabet_size,
            "alphabet": manifest.alphabet,
            "labels": manifest.labels,
        },
        "versions": {
            "python": platform.python_version(),
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "numpy": np.__version__,
        },
    }

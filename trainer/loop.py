"""The training loop: many steps inside one tf.function, on one replica or on several.

A batch is split over the replicas of a strategy. Each replica sums over its own rows, the sums are
added up, and only then is there a mean: a short last batch, or a replica that got no row of it,
counts for as many rows as it has.
"""

from __future__ import annotations

import math
import platform
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from trainer.checkpoint import Checkpoints
from trainer.config import Config
from trainer.dataset import (
    corruption_as_data_error,
    evaluation_batches,
    input_shape,
    resolve_representation,
    training_batches,
)
from trainer.errors import DataError, Preempted
from trainer.export import TextEncoder, export
from trainer.history import History
from trainer.manifest import Manifest
from trainer.model import EmbeddingSize, build_model
from trainer.position import NO_ROWS, Position, Score, Sums
from trainer.progress import Progress
from trainer.run_directory import begin_run, complete_run, may_resume, resume_run
from trainer.runtime import make_strategy, resolve_jit_compile, sigterm_noticed

# Python is entered once in so many steps: too rarely to cost time, often enough to tell of it.
_STEPS_PER_CALL = 16
_OPTIMIZERS = {
    "rmsprop": keras.optimizers.RMSprop,
    "adam": keras.optimizers.Adam,
    "sgd": keras.optimizers.SGD,
}


def train(config: Config, manifest: Manifest) -> None:
    """Train on a dataset, export the model, and leave a complete run in `config.output`.

    Raises:
        DataError: the records do not fit the representation, a device is not there, a shard is
            corrupted, or the transform graph does not give the ids that the records hold.
    """
    representation = resolve_representation(config.representation, manifest)
    strategy = make_strategy(config.strategy, config.devices)
    encoder = TextEncoder(manifest)  # First of all: it fails on a dataset that cannot be exported.
    jit_compile = resolve_jit_compile(config.jit_compile, strategy)
    description = describe_run(config, manifest, representation, strategy, jit_compile)
    resuming = may_resume(config.output, description, config.resume, config.overwrite)
    (resume_run if resuming else begin_run)(config.output, description)

    keras.utils.set_random_seed(config.seed)
    tf.config.experimental.enable_op_determinism()
    with strategy.scope():
        model = model_for(manifest, representation, config)
        optimizer = _OPTIMIZERS[config.optimizer](config.learning_rate)
        optimizer.build(model.trainable_variables)
    variables = [*model.variables, *optimizer.variables]
    checkpoints = Checkpoints(config.output, variables, config.checkpoint_every, config.keep)
    start = checkpoints.restore()
    if len(start.epochs) > config.epochs:
        raise DataError(f"--epochs: got {config.epochs}, but {len(start.epochs)} are done")
    if resuming:
        print(f"going on in epoch {start.epoch} after {start.step} of its steps", flush=True)
    with corruption_as_data_error(manifest), sigterm_noticed() as preempted:
        steps = Steps(strategy, model, optimizer, jit_compile)
        run_epochs(steps, config, manifest, representation, start, checkpoints, preempted)

    # A copy made outside the scope: what is saved knows nothing of replicas.
    plain = model_for(manifest, representation, config)
    plain.set_weights(model.get_weights())
    export(config.output, plain, encoder, representation, manifest)
    complete_run(config.output)


def run_epochs(
    steps: Steps,
    config: Config,
    manifest: Manifest,
    representation: str,
    start: Position,
    checkpoints: Checkpoints,
    preempted: threading.Event,
) -> None:
    """Train and validate from a position to the end of the last epoch, and save on the way.

    Raises:
        Preempted: `preempted` is set, and what was done is saved.
    """
    rows = manifest.records("train")
    progress = Progress(config.epochs, rows, math.ceil(rows / config.batch_size), start)
    history = History(config.output, start.epochs)
    while start.epoch <= config.epochs:
        position = start  # A run may have been killed between its last step and its validation.
        for position in train_epoch(steps, config, manifest, representation, start):
            progress.update(position)
            if preempted.is_set():
                checkpoints.save(position)
                raise Preempted(f"SIGTERM: saved after step {position.total_steps}")
            checkpoints.save_if_due(position)
        epoch = position.measured(validate(steps, config, manifest, representation))
        progress.clear()
        print(f"epoch {epoch.number}/{config.epochs}: {epoch}", flush=True)
        history.add(epoch)
        start = position.after_epoch(epoch)
        checkpoints.save(start)


def train_epoch(
    steps: Steps, config: Config, manifest: Manifest, representation: str, position: Position
) -> Iterator[Position]:
    """Train on the rows of an epoch that are left at a position; yield every few steps."""
    started = time.monotonic() - position.seconds
    count = math.ceil(manifest.records("train") / config.batch_size)
    batches = training_batches(
        manifest, representation, config.batch_size, config.seed, position.epoch, position.step
    )
    for step, sums in steps.train(batches, range(position.step, count), position.sums):
        position = position.after_steps(step, sums, time.monotonic() - started)
        yield position


def validate(steps: Steps, config: Config, manifest: Manifest, representation: str) -> Score | None:
    """Measure on every row of the validation split; None where there is none."""
    rows = manifest.records("validation")
    if not rows:
        return None
    batches = evaluation_batches(manifest, "validation", representation, config.batch_size)
    for _, sums in steps.evaluate(batches, range(math.ceil(rows / config.batch_size)), NO_ROWS):
        score = sums.score()
    return score


class Steps:
    """Steps of training and of evaluation, run on every replica of a strategy at once."""

    def __init__(
        self,
        strategy: tf.distribute.Strategy,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        jit_compile: bool,
    ) -> None:
        self._strategy = strategy
        self._model = model
        self._optimizer = optimizer
        train_step = (
            tf.function(self._train_step, jit_compile=True) if jit_compile else self._train_step
        )
        self._train_steps = self._repeated(train_step)
        self._evaluation_steps = self._repeated(self._evaluation_step)

    def train(
        self, batches: tf.data.Dataset, steps: range, sums: Sums
    ) -> Iterator[tuple[int, Sums]]:
        """Take these steps; yield every few of them the last one and the sums, `sums` included."""
        return self._run(self._train_steps, batches, steps, sums)

    def evaluate(
        self, batches: tf.data.Dataset, steps: range, sums: Sums
    ) -> Iterator[tuple[int, Sums]]:
        """Like `train`, with the weights left as they are."""
        return self._run(self._evaluation_steps, batches, steps, sums)

    def _run(
        self,
        run_steps: Callable[..., tf.Tensor],
        batches: tf.data.Dataset,
        steps: range,
        sums: Sums,
    ) -> Iterator[tuple[int, Sums]]:
        iterator = iter(self._strategy.experimental_distribute_dataset(batches))
        total = np.array(sums)
        for first in steps[::_STEPS_PER_CALL]:
            done = min(first + _STEPS_PER_CALL, steps.stop)
            total += run_steps(iterator, tf.constant(done - first)).numpy()
            yield done, Sums(*total.tolist())

    def _repeated(self, step: Callable[..., tf.Tensor]) -> Callable[..., tf.Tensor]:
        """A graph that takes `count` batches of an iterator and adds up their `Sums` (3,)."""

        def run_steps(batches: Iterator[Any], count: tf.Tensor) -> tf.Tensor:
            sums = tf.zeros(len(Sums._fields))
            for _ in tf.range(count):
                sums += self._on_replicas(step, next(batches))
            return sums

        graph: Callable[..., tf.Tensor] = tf.function(run_steps)
        return graph

    def _on_replicas(self, step: Callable[..., tf.Tensor], batch: Any) -> tf.Tensor:
        sums = self._strategy.run(step, args=batch)
        return self._strategy.reduce(tf.distribute.ReduceOp.SUM, sums, axis=None)

    def _train_step(self, features: dict[str, tf.Tensor], labels: tf.Tensor) -> tf.Tensor:
        """One replica's part of a step: rows of its own, (rows, …), to their `Sums` (3,)."""
        replica = tf.distribute.get_replica_context()
        batch_rows = replica.all_reduce(tf.distribute.ReduceOp.SUM, _count(labels))
        with tf.GradientTape() as tape:
            probabilities = self._model(features, training=True)
            sums = _sums(labels, probabilities)
            loss = sums[0] / batch_rows  # The optimizer adds up the replicas' gradients.
        variables = self._model.trainable_variables
        # The embedding's is sparse: dense it has one shape, whatever the batch, and is far smaller.
        gradients = [tf.convert_to_tensor(each) for each in tape.gradient(loss, variables)]
        self._optimizer.apply(gradients, variables)
        return sums

    def _evaluation_step(self, features: dict[str, tf.Tensor], labels: tf.Tensor) -> tf.Tensor:
        return _sums(labels, self._model(features, training=False))


def _sums(labels: tf.Tensor, probabilities: tf.Tensor) -> tf.Tensor:
    """Labels (rows,) int64 and probabilities (rows, classes) to `Sums` (3,) float32."""
    loss = keras.losses.sparse_categorical_crossentropy(labels, probabilities)
    correct = tf.argmax(probabilities, axis=1) == labels
    return tf.stack([tf.reduce_sum(loss), tf.math.count_nonzero(correct, dtype=tf.float32),
                     _count(labels)])  # fmt: skip


def _count(labels: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.size(labels), tf.float32)


def model_for(manifest: Manifest, representation: str, config: Config) -> keras.Model:
    """A new model for the records of a dataset."""
    embedding = None
    if representation == "embedding":
        embedding = EmbeddingSize(manifest.unknown_id + 1, config.embedding_dim)
    shape = input_shape(representation, manifest)
    return build_model(shape, len(manifest.labels), config.units, embedding=embedding)


def describe_run(
    config: Config,
    manifest: Manifest,
    representation: str,
    strategy: tf.distribute.Strategy,
    jit_compile: bool,
) -> dict[str, Any]:
    """What `run.json` says: every option as it was resolved, the dataset, the versions."""
    mirrored = isinstance(strategy, tf.distribute.MirroredStrategy)
    return {
        "options": {
            **asdict(config),
            "checkpoint_every": str(config.checkpoint_every),
            "representation": representation,
            "jit_compile": "on" if jit_compile else "off",
            "strategy": "mirrored" if mirrored else "none",
            "devices": [name.split("device:")[1] for name in strategy.extended.worker_devices],
        },
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

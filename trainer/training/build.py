"""The model and the optimizer of a run, from its options and its dataset."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from charseq.manifest import Manifest
from trainer.config import Config
from trainer.data.batches import Batches
from trainer.data.representation import NGRAMS, input_shape
from trainer.model.network import EmbeddingSize, build_model, build_xla_model
from trainer.ngrams.classifier import build_classifier
from trainer.ngrams.experts import Size
from trainer.ngrams.mixture import MixtureFit
from trainer.ngrams.model import NgramModel
from trainer.ngrams.replica import NgramReplica, Regularization
from trainer.steps.replica import Objective, Replica, StepFunctions
from trainer.training.checkpoint import Variables, keyed_variables

_OPTIMIZERS = {
    "rmsprop": keras.optimizers.RMSprop,
    "adam": keras.optimizers.Adam,
    "sgd": keras.optimizers.SGD,
}


@dataclass(frozen=True)
class Learner:
    """What a run trains.

    replica: what a step computes. model_variables, optimizer_variables: what a checkpoint holds, by
    key. before_validation: called with the batches of the dataset. to_keras: returns a copy of the
    model in float32, to be exported; called outside the scope of a strategy.
    """

    replica: StepFunctions
    model_variables: Variables
    optimizer_variables: Variables
    to_keras: Callable[[], keras.Model]
    before_validation: Callable[[Batches], None] = lambda _: None


def build_learner(
    config: Config,
    manifest: Manifest,
    strategy: tf.distribute.Strategy,
    *,
    representation: str,
    batch_size: int,
    jit_compile: bool,
) -> Learner:
    """Return what a run trains, in the scope of its strategy; its weights follow from the seed."""
    class_weights = balanced_weights(manifest) if config.class_weights == "balanced" else None
    arguments = {
        "num_replicas": strategy.num_replicas_in_sync,
        "batch_size": batch_size,
        "clip_norm": config.clip_norm,
    }
    if representation == NGRAMS:
        ngrams = NgramModel(ngram_size(config, manifest))
        variables = ngrams.experts.variables
        optimizer = build_optimizer(config, ngrams.experts.trainable_variables)
        regularization = Regularization(config.dropout, config.ngram_dropout, config.seed)
        replica = NgramReplica(
            ngrams,
            optimizer,
            regularization,
            class_weights=class_weights,
            jit_compile=jit_compile,
            **arguments,
        )
        return Learner(
            replica,
            {**keyed_variables("model", variables), **ngrams.table.stored("model")},
            {
                **keyed_variables("optimizer", optimizer.variables),
                **ngrams.table.stored_squares("optimizer"),
            },
            lambda: build_classifier(ngrams),
            MixtureFit(strategy, replica),
        )
    model = training_model(manifest, representation, config, jit_compile=jit_compile)
    optimizer = build_optimizer(config, model.trainable_variables)

    def to_keras() -> keras.Model:
        plain = exported_model(manifest, representation, config)
        plain.set_weights(model.get_weights())
        return plain

    return Learner(
        Replica(Objective(model, class_weights, jit_compile=jit_compile), optimizer, **arguments),
        keyed_variables("model", model.variables),
        keyed_variables("optimizer", optimizer.variables),
        to_keras,
    )


def ngram_size(config: Config, manifest: Manifest) -> Size:
    """Return the size of a model of n-grams."""
    return Size(
        unknown_id=manifest.unknown_id,
        classes=len(manifest.labels),
        max_length=manifest.max_length,
        units=config.units,
        bag_dim=config.embedding_dim,
        lstm_dim=config.embedding_dim,
        ngram_max=config.ngram_max,
        num_buckets=config.ngram_buckets,
    )


def training_model(
    manifest: Manifest, representation: str, config: Config, *, jit_compile: bool
) -> keras.Model:
    """Return a new model to train on the records of a dataset, for XLA if jit_compile."""
    arguments = _arguments(manifest, representation, config)
    timesteps, *features = input_shape(representation, manifest.max_length, manifest.alphabet_size)
    if jit_compile:
        return build_xla_model((timesteps, *features), **arguments)
    # Batches are cut at their longest row.
    return build_model((None, *features), **arguments)


def exported_model(manifest: Manifest, representation: str, config: Config) -> keras.Model:
    """Return a new model to be exported, with the same weights as `training_model`."""
    shape = input_shape(representation, manifest.max_length, manifest.alphabet_size)
    return build_model(shape, **_arguments(manifest, representation, config))


def _arguments(manifest: Manifest, representation: str, config: Config) -> dict[str, Any]:
    embedding = None
    if representation == "embedding":
        embedding = EmbeddingSize(manifest.unknown_id + 1, config.embedding_dim)
    return {
        "classes": len(manifest.labels),
        "units": config.units,
        "embedding": embedding,
        "dropout": config.dropout,
    }


def build_optimizer(config: Config, variables: list[keras.Variable]) -> keras.optimizers.Optimizer:
    """Return the optimizer of a run with all its variables, named as the option is."""
    optimizer = _OPTIMIZERS[config.optimizer](config.learning_rate, name=config.optimizer)
    optimizer.build(variables)
    return optimizer


def balanced_weights(manifest: Manifest) -> list[float]:
    """Return a weight for each label, so that all weigh the same together.

    rows / (labels · rows of the label), as `class_weight="balanced"` of scikit-learn.
    """
    rows = manifest.records("train")
    counts = manifest.counts_of_labels("train")
    return [rows / (len(manifest.labels) * max(count, 1)) for count in counts]

"""The model and the optimizer of a run, from its options and its dataset."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from charseq.manifest import Manifest
from charseq.measures.baseline import label_shares
from trainer.config import NGRAMS
from trainer.data.batches import Batches
from trainer.data.representation import input_shape
from trainer.model.network import EmbeddingSize, build_model, build_xla_model
from trainer.ngrams.classifier import build_classifier
from trainer.ngrams.counts import NgramCounts
from trainer.ngrams.experts import Size
from trainer.ngrams.mixture_fit import MixtureFit
from trainer.ngrams.model import NgramModel
from trainer.ngrams.replica import NgramReplica, Regularization
from trainer.settings import Settings, table_rates
from trainer.steps.replica import Objective, Replica, StepFunctions
from trainer.steps.shares import Shares, num_parts
from trainer.training.checkpoint import Variables, keyed_variables

_OPTIMIZERS = {
    "rmsprop": keras.optimizers.RMSprop,
    "adam": keras.optimizers.Adam,
    "sgd": keras.optimizers.SGD,
}

# Of more labels, scores of each n-gram for each label would take more memory than they are worth.
_MAX_BAG_DIM = 32


@dataclass(frozen=True)
class Learner:
    """What a run trains.

    replica: what a step computes. model_variables, optimizer_variables: what a checkpoint holds, by
    key. label_keys: of the model's variables whose last axis is that of the labels.
    before_validation: called with the batches of the dataset. to_keras: returns a copy of the
    model in float32, to be exported; called outside the scope of a strategy.
    """

    replica: StepFunctions
    model_variables: Variables
    optimizer_variables: Variables
    label_keys: Collection[str]
    to_keras: Callable[[], keras.Model]
    before_validation: Callable[[Batches], None] = lambda _: None


def build_learner(
    settings: Settings,
    manifest: Manifest,
    strategy: tf.distribute.Strategy,
    *,
    jit_compile: bool,
    counts: NgramCounts | None = None,
) -> Learner:
    """Return what a run trains, in the scope of its strategy; its weights follow from the seed.

    counts: of the train split's n-grams, for their representation.
    """
    balanced = settings.class_weights == "balanced"
    common: dict[str, Any] = {
        "class_weights": balanced_weights(manifest) if balanced else None,
        "jit_compile": jit_compile,
        "shares": _share(settings, strategy.num_replicas_in_sync, jit_compile),
        "clip_norm": settings.clip_norm,
    }
    if counts is not None:
        return _ngram_learner(settings, manifest, strategy, counts, **common)
    return _stacked_lstm_learner(settings, manifest, **common)


def _share(settings: Settings, num_replicas: int, jit_compile: bool) -> Shares:
    """Return the shares of replicas: of the same parts, however many, if XLA compiles the step."""
    count = num_parts(settings.batch_size)
    if not jit_compile:
        count = num_replicas if settings.representation != NGRAMS else max(count, num_replicas)
    return Shares(settings.batch_size, count, num_replicas)


def _ngram_learner(
    settings: Settings,
    manifest: Manifest,
    strategy: tf.distribute.Strategy,
    counts: NgramCounts,
    *,
    class_weights: Sequence[float] | None,
    **common: Any,
) -> Learner:
    rows, weights = manifest.counts_of_labels("train"), manifest.mean_weights("train")
    # Balanced weights make the labels equally probable, but for what their rows weigh.
    effective = [1 if class_weights else count for count in rows]
    shares = label_shares([n * weight for n, weight in zip(effective, weights, strict=True)])
    ngrams = NgramModel(ngram_size(settings, manifest), counts, shares)
    optimizer = build_optimizer(settings, ngrams.experts.trainable_variables)
    regularization = Regularization(settings.dropout, settings.ngram_dropout, settings.seed)
    replica = NgramReplica(
        ngrams,
        optimizer,
        regularization,
        table_rates(manifest),
        class_weights=class_weights,
        **common,
    )
    return Learner(
        replica,
        {**keyed_variables("model", ngrams.experts.variables), **ngrams.table.stored("model")},
        {
            **keyed_variables("optimizer", optimizer.variables),
            **ngrams.table.stored_squares("optimizer"),
        },
        _ngram_label_keys(ngrams),
        lambda: build_classifier(ngrams),
        MixtureFit(strategy, replica),
    )


def _stacked_lstm_learner(
    settings: Settings,
    manifest: Manifest,
    *,
    class_weights: Sequence[float] | None,
    jit_compile: bool,
    **common: Any,
) -> Learner:
    model = training_model(manifest, settings, jit_compile=jit_compile)
    optimizer = build_optimizer(settings, model.trainable_variables)

    def to_keras() -> keras.Model:
        plain = exported_model(manifest, settings)
        plain.set_weights(model.get_weights())
        return plain

    return Learner(
        Replica(Objective(model, class_weights, jit_compile=jit_compile), optimizer, **common),
        keyed_variables("model", model.variables),
        keyed_variables("optimizer", optimizer.variables),
        keyed_variables("model", model.trainable_variables[-2:]),  # Kernel and bias of the softmax.
        to_keras,
    )


def _ngram_label_keys(ngrams: NgramModel) -> list[str]:
    experts = ngrams.experts
    keys = [*keyed_variables("model", experts.softmaxes)]
    return [*keys, "model/bag_vectors"] if experts.scores_labels else keys


def ngram_size(settings: Settings, manifest: Manifest) -> Size:
    """Return the size of a model of n-grams."""
    classes = len(manifest.labels)
    return Size(
        unknown_id=manifest.unknown_id,
        classes=classes,
        max_length=manifest.max_length,
        lstms=settings.ensemble,
        units=settings.units,
        bag_dim=min(classes, _MAX_BAG_DIM),
        lstm_dim=settings.embedding_dim,
        ngram_max=settings.ngram_max,
        num_buckets=settings.ngram_buckets,
    )


def training_model(manifest: Manifest, settings: Settings, *, jit_compile: bool) -> keras.Model:
    """Return a new model to train on the records of a dataset, for XLA if jit_compile."""
    (timesteps, *features), arguments = _arguments(manifest, settings)
    if jit_compile:
        return build_xla_model((timesteps, *features), **arguments)
    # Batches are cut at their longest row.
    return build_model((None, *features), **arguments)


def exported_model(manifest: Manifest, settings: Settings) -> keras.Model:
    """Return a new model to be exported, with the same weights as `training_model`."""
    shape, arguments = _arguments(manifest, settings)
    return build_model(shape, **arguments)


def _arguments(manifest: Manifest, settings: Settings) -> tuple[tuple[int, ...], dict[str, Any]]:
    """Return the input shape of a model, and the other arguments that build it."""
    shape = input_shape(settings.representation, manifest.max_length, manifest.alphabet_size)
    embedding = None
    if settings.representation == "embedding":
        embedding = EmbeddingSize(manifest.unknown_id + 1, settings.embedding_dim)
    return shape, {
        "classes": len(manifest.labels),
        "units": settings.units,
        "embedding": embedding,
        "dropout": settings.dropout,
    }


def build_optimizer(
    settings: Settings, variables: list[keras.Variable]
) -> keras.optimizers.Optimizer:
    """Return the optimizer of a run with all its variables, named as the option is."""
    optimizer = _OPTIMIZERS[settings.optimizer](settings.learning_rate, name=settings.optimizer)
    optimizer.build(variables)
    return optimizer


def balanced_weights(manifest: Manifest) -> list[float]:
    """Return a weight for each label, so that all weigh the same together.

    rows / (labels · rows of the label), as `class_weight="balanced"` of scikit-learn.
    """
    rows = manifest.records("train")
    counts = manifest.counts_of_labels("train")
    return [rows / (len(manifest.labels) * max(count, 1)) for count in counts]

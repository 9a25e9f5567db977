"""The model and the optimizer of a run, from its options and its dataset."""

from __future__ import annotations

from typing import Any

import keras

from charseq.manifest import Manifest
from trainer.config import Config
from trainer.data.representation import input_shape
from trainer.model.network import EmbeddingSize, build_model, build_xla_model

_OPTIMIZERS = {
    "rmsprop": keras.optimizers.RMSprop,
    "adam": keras.optimizers.Adam,
    "sgd": keras.optimizers.SGD,
}


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


def build_optimizer(config: Config, model: keras.Model) -> keras.optimizers.Optimizer:
    """Return the optimizer of a run with all its variables, named as the option is."""
    optimizer = _OPTIMIZERS[config.optimizer](config.learning_rate, name=config.optimizer)
    optimizer.build(model.trainable_variables)
    return optimizer


def balanced_weights(manifest: Manifest) -> list[float]:
    """Return a weight for each label, so that all weigh the same together.

    rows / (labels · rows of the label), as `class_weight="balanced"` of scikit-learn.
    """
    rows = manifest.records("train")
    counts = manifest.counts_of_labels("train")
    return [rows / (len(manifest.labels) * max(count, 1)) for count in counts]

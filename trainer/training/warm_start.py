"""The first weights of a run that goes on from another one."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from charseq.errors import DataError
from trainer.archives import ARCHIVE_DAMAGE
from trainer.parent import Parent
from trainer.training.build import Learner
from trainer.training.checkpoint import Array, Checkpoints, read_weights

_BAG_KERNEL, _BAG_BIAS, _BAG_VECTORS = "model/bag_kernel", "model/bag_bias", "model/bag_vectors"


def begin_with_weights_of(
    parent: Parent, learner: Learner, checkpoints: Checkpoints, labels: Sequence[str]
) -> None:
    """Set the weights of a run to those of its parent, for its own labels.

    Raises:
        DataError: those of the parent cannot be read.
    """
    try:
        values = read_weights(parent.weights, learner.model_variables)
    except ARCHIVE_DAMAGE as error:
        raise DataError(f"{parent.weights}: broken: {error}; --from needs another run") from error
    own = {key: np.asarray(each.numpy()) for key, each in learner.model_variables.items()}
    first = first_values(values, own, parent.run.labels, labels, learner.label_keys)
    checkpoints.begin_with(first, parent.weights)


def first_values(
    parent: Mapping[str, Array],
    own: Mapping[str, Array],
    labels_then: Sequence[str],
    labels_now: Sequence[str],
    label_keys: Collection[str],
) -> dict[str, Array]:
    """Return the values of `parent`, those for each label at the place that it has now.

    Those for a new label are zeros.

    Args:
        parent: by key.
        own: what the variables would begin with by themselves, by key.
        labels_then: of the parent, in the order of ids.
        labels_now: of the run.
        label_keys: of values whose last axis is that of the labels.
    """
    anew: set[str] = set()
    if (_BAG_KERNEL in parent) != (_BAG_KERNEL in own):
        # Scores of few labels on the one side, vectors for many on the other.
        anew = {_BAG_KERNEL, _BAG_BIAS, _BAG_VECTORS}
    values = dict(own)
    for key in parent.keys() - anew:
        values[key] = (
            _by_label(parent[key], labels_then, labels_now) if key in label_keys else parent[key]
        )
    if _BAG_VECTORS in anew:
        rows, width = len(parent[_BAG_VECTORS]), own[_BAG_VECTORS].shape[1]
        values[_BAG_VECTORS] = np.zeros((rows, width), np.float32)
    return values


def _by_label(value: Array, labels_then: Sequence[str], labels_now: Sequence[str]) -> Array:
    """Return values (…, labels then) as (…, labels now)."""
    place_then = {label: place for place, label in enumerate(labels_then)}
    kept = [place for place, label in enumerate(labels_now) if label in place_then]
    moved: Array = np.zeros((*value.shape[:-1], len(labels_now)), value.dtype)
    moved[..., kept] = value[..., [place_then[labels_now[place]] for place in kept]]
    return moved

"""The evaluation of a SavedModel as a server runs it: raw text in, probabilities out.

Records hold ids. They are turned back into text with the alphabet of their dataset, so that two
models are measured on the same rows even if their alphabets or labels are in another order, as
those learned from two datasets may be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from charseq.console.terminal import escape_terminal
from charseq.errors import DataError
from charseq.examples import to_ids
from charseq.manifest import Manifest
from charseq.measures.metrics import Evaluation, MetricsAccumulator
from charseq.models.saved_model import (
    CLASSIFY,
    PROBABILITIES,
    SEQUENCE,
    load_saved_model,
)
from trainer.batch_predictions import predict_batches
from trainer.data.batches import Batches
from trainer.data.dataset import Dataset
from trainer.promote.lineage import read_model_dataset
from trainer.settings import resolve_representation

_BATCH_SIZE = 1024
_SHOWN_LABELS = 5
_SHOWN_WIDTH = 32


def measure(
    saved_model: str, dataset: Dataset, split: str, trust_model: bool = False
) -> Evaluation:
    """Return the metrics of a SavedModel on every row of a split.

    Its labels are those of the dataset, then those that only the model knows.

    Args:
        saved_model: the path of the SavedModel.
        dataset: where the rows are.
        split: of the rows.
        trust_model: load the model even if it does more than compute.

    Raises:
        DataError: the model does more than compute or knows no label of the dataset, the split has
            no row, a shard is corrupted, or the probabilities are not finite.
    """
    trained_on = read_model_dataset(saved_model)
    _check_same_task(saved_model, trained_on["labels"], dataset)
    dataset.check_not_empty(split)
    manifest = dataset.manifest
    labels = union_of_labels(manifest.labels, trained_on["labels"])
    ids = {label: number for number, label in enumerate(labels)}
    columns = [ids[label] for label in trained_on["labels"]]
    train_counts = manifest.counts_of_labels("train")
    metrics = MetricsAccumulator(len(labels), manifest.max_length, train_counts)
    model = load_text_model(saved_model, manifest, trained_on["alphabet"], trust_model)
    batches = Batches(dataset, resolve_representation(None, dataset), _BATCH_SIZE)
    for batch in predict_batches(model, saved_model, batches, split):
        probabilities = np.zeros((len(batch.labels), len(labels)), np.float32)
        probabilities[:, columns] = batch.probabilities
        metrics.add(batch.labels, probabilities, batch.lengths, batch.weights)
    return metrics.evaluation(split, manifest.fingerprint, labels)


def _check_same_task(saved_model: str, labels: Sequence[str], dataset: Dataset) -> None:
    """Check that the model has a label of the dataset.

    Raises:
        DataError: it has none.
    """
    if not set(labels) & set(dataset.manifest.labels):
        raise DataError(
            f"{dataset.directory} does not fit {saved_model}: of its labels "
            f"({_first_labels(dataset.manifest.labels)}) the model gives none, it gives "
            f"{_first_labels(labels)}; models of another task belong into another registry"
        )


def union_of_labels(labels: Sequence[str], model_labels: Sequence[str]) -> tuple[str, ...]:
    """Return the labels of a dataset, then those that only a model knows."""
    return tuple(dict.fromkeys((*labels, *model_labels)))


def _first_labels(labels: Sequence[str]) -> str:
    shown = [escape_terminal(label, _SHOWN_WIDTH) for label in labels[:_SHOWN_LABELS]]
    return ", ".join([*shown, "…"] if len(labels) > _SHOWN_LABELS else shown)


def load_text_model(
    saved_model: str, manifest: Manifest, alphabet: Iterable[str], trust_model: bool = False
) -> Callable[[Mapping[str, Any]], tf.Tensor]:
    """Return a function from features to the probabilities of a SavedModel for their text.

    Args:
        saved_model: the path of the SavedModel.
        manifest: of the dataset that has the features.
        alphabet: of the model.
        trust_model: load the model even if it does more than compute.

    Raises:
        DataError: it cannot be loaded, does more than compute, or has no such signature.
    """
    signatures = load_saved_model(saved_model, saved_model, trust_model).signatures
    if CLASSIFY not in signatures:
        raise DataError(f"{saved_model}: no signature {CLASSIFY!r}: not a model of the trainer")
    classify = signatures[CLASSIFY]
    to_text = text_decoder(manifest, alphabet)
    return lambda features: classify(
        **{SEQUENCE: to_text(features["sequence"], features["length"])}
    )[PROBABILITIES]


def text_decoder(
    manifest: Manifest, model_alphabet: Iterable[str] = ()
) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """Return a function from the features `sequence` and `length` to their text, (batch,) string.

    All unknown characters become one that is in neither alphabet, the dataset's or the model's.
    """
    taken = {*manifest.alphabet, *model_alphabet}
    unknown = next(c for c in map(chr, range(0xFFFD, 0, -1)) if c not in taken)
    # An alphabet may be shorter than its ids: the rest up to the unknown id is unknown, too.
    rest = [unknown] * (manifest.unknown_id - len(manifest.alphabet))
    characters = tf.constant(["", *manifest.alphabet, *rest])

    @tf.function(autograph=False)
    def to_text(sequence: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
        ids = to_ids(sequence)
        # In one-hot records unknown characters are zeros like padding, but within the length.
        inside = tf.sequence_mask(length, manifest.max_length)
        ids = tf.where(inside & (ids == 0), tf.cast(manifest.unknown_id, ids.dtype), ids)
        return tf.strings.reduce_join(tf.gather(characters, ids), axis=1)

    return to_text  # type: ignore[no-any-return]

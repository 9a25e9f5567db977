"""A SavedModel measured as a server answers: raw text in, labels out.

Records hold ids. Their text is made again with the alphabet of their dataset, so that two models
are measured on the same rows though their alphabets or labels are in another order, as learned
ones may be from one dataset to the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from charseq.errors import DataError
from charseq.html.escape import escape_terminal
from charseq.metrics import Evaluation, Ints, MetricsAccumulator
from trainer.data.batches import (
    Batches,
    as_ids,
    resolve_representation,
    unreadable_as_data_error,
)
from trainer.data.manifest import Manifest
from trainer.promote.lineage import DATASET_ASSET, read_part

_BATCH_SIZE = 1024
_SHOWN_LABELS = 5
_SHOWN_WIDTH = 32


def measure(saved_model: str, manifest: Manifest, split: str) -> Evaluation:
    """Measure a SavedModel on every row of a split.

    Its labels are those of the dataset, then those that only the model knows.

    Raises:
        DataError: the model knows no label of the dataset, the split has no row, a shard is
            corrupted, or the answers are not numbers.
    """
    known = read_part(saved_model, DATASET_ASSET)
    if not set(known["labels"]) & set(manifest.labels):
        raise DataError(
            f"{manifest.directory} does not fit {saved_model}: of its labels "
            f"({_some(manifest.labels)}) the model gives none, it gives {_some(known['labels'])}; "
            "models of another task belong into another registry"
        )
    manifest.check_not_empty(split)
    only_known = [label for label in known["labels"] if label not in set(manifest.labels)]
    labels = (*manifest.labels, *only_known)
    place = {label: number for number, label in enumerate(labels)}
    columns = [place[label] for label in known["labels"]]
    tally = MetricsAccumulator(len(labels), manifest.max_length)
    for rows, own, lengths in _answers(saved_model, known, manifest, split):
        probabilities = np.zeros((len(own), len(labels)), np.float32)
        probabilities[:, columns] = own
        tally.add(rows, probabilities, lengths)
    return tally.evaluation(split, manifest.fingerprint, labels)


def _some(labels: Sequence[str]) -> str:
    shown = [escape_terminal(label, _SHOWN_WIDTH) for label in labels[:_SHOWN_LABELS]]
    return ", ".join([*shown, "…"] if len(labels) > _SHOWN_LABELS else shown)


def _answers(
    saved_model: str, known: dict[str, Any], manifest: Manifest, split: str
) -> Iterator[tuple[Ints, npt.NDArray[np.float32], Ints]]:
    """Labels (batch,), the model's probabilities (batch, its labels) and lengths (batch,)."""
    ask = tf.saved_model.load(saved_model).signatures["serving_default"]
    to_text = text_of(manifest, known["alphabet"])
    batches = Batches(manifest, resolve_representation(None, manifest), _BATCH_SIZE)
    with unreadable_as_data_error(manifest):
        for features, labels, weights in batches.evaluation(split):
            answer = ask(sequence=to_text(features["sequence"], features["length"]))
            probabilities = answer["probabilities"].numpy()
            if not np.isfinite(probabilities).all():
                raise DataError(
                    f"{saved_model}: its answers are not numbers: the training diverged; train "
                    "again with a lower --learning-rate"
                )
            rows = weights.numpy() > 0
            yield labels.numpy()[rows], probabilities[rows], features["length"].numpy()[rows]


def text_of(manifest: Manifest, other: str | list[str] = "") -> Callable[..., tf.Tensor]:
    """A function of what records hold, `sequence` and `length`, that makes their text (batch,).

    Each unknown character becomes one that neither the dataset's alphabet nor `other` has.
    """
    taken = {*manifest.alphabet, *other}
    unknown = next(c for c in map(chr, range(0xFFFD, 0, -1)) if c not in taken)
    rest = [unknown] * (manifest.unknown_id - len(manifest.alphabet))
    characters = tf.constant(["", *manifest.alphabet, *rest])

    @tf.function
    def to_text(sequence: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
        ids = as_ids({"sequence": sequence})["sequence"]
        # In one-hot records unknown is as padding is.
        inside = tf.sequence_mask(length, manifest.max_length)
        ids = tf.where(inside & (ids == 0), tf.cast(manifest.unknown_id, ids.dtype), ids)
        return tf.strings.reduce_join(tf.gather(characters, ids), axis=1)

    return to_text  # type: ignore[no-any-return]


def remarks(saved_model: str, manifest: Manifest, prepared: dict[str, Any]) -> list[str]:
    """What is not quite fair to a model when it is measured on a dataset, a phrase each.

    prepared: the content of the dataset's `dataset.json`.
    """
    known = read_part(saved_model, DATASET_ASSET)
    lost = [character for character in known["alphabet"] if character not in manifest.alphabet]
    longest = known["max_length"]
    old, new = (content.get("options", {}) for content in (known, prepared))
    split_alike = all(old.get(name) == new.get(name) for name in ("seed", "split", "max_length"))
    found = []
    if lost:
        found.append(f"knows {len(lost)} characters that the records have as unknown")
    if longest > manifest.max_length:
        found.append(f"reads {longest} characters, but the records hold {manifest.max_length}")
    if not split_alike:
        found.append(
            "was trained on a dataset of another --seed, --split or --max-length, and may have "
            "seen rows of this split"
        )
    return found

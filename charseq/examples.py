"""The records of a dataset: their feature spec, and Examples turned into ids and text.

| feature | ids | one_hot |
|---|---|---|
| `sequence` | (max_length,) int64: 0 padding, 1… the alphabet, then unknown | (max_length, alphabet_size) float32, zeros for padding and unknown |
| `length` | () int64, 1 to max_length | the same |
| `label` | () int64 | the same |
| `weight`, with --weight-column | () float32, above 0 | the same |
"""  # noqa: E501 - a table

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from charseq.manifest import Feature, Manifest

if TYPE_CHECKING:
    import tensorflow as tf

# The feature that says how much a record counts.
WEIGHT = "weight"
# By the manifest's name: what tf.data.TFRecordDataset calls it.
TFRECORD_COMPRESSION = {"none": "", "gzip": "GZIP"}
UNKNOWN_CHARACTER = "\N{REPLACEMENT CHARACTER}"


def feature_spec(
    encoding: str, max_length: int, alphabet_size: int, *, has_weight: bool = False
) -> dict[str, Feature]:
    """Return the features of every record of a dataset; `encoding` is ids or one_hot."""
    scalar = Feature((), "int64")
    sequence = Feature((max_length,), "int64")
    if encoding == "one_hot":
        sequence = Feature((max_length, alphabet_size), "float32")
    spec = {"sequence": sequence, "length": scalar, "label": scalar}
    return {**spec, WEIGHT: Feature((), "float32")} if has_weight else spec


def read_tfrecords(
    path: str | tf.Tensor, manifest: Manifest, buffer_bytes: int | None = None
) -> tf.data.Dataset:
    """Return the serialized Examples of one shard, () string each.

    Args:
        path: a local path.
        manifest: of the dataset.
        buffer_bytes: how much of the file is read at once; None for TensorFlow's default.
    """
    import tensorflow as tf

    return tf.data.TFRecordDataset(path, TFRECORD_COMPRESSION[manifest.compression], buffer_bytes)


def parse_examples(serialized: tf.Tensor, features: Mapping[str, Feature]) -> dict[str, tf.Tensor]:
    """Parse serialized Examples (batch,) string into features, (batch, …) each.

    All at once: parse_single_example, mapped over records, is ten times slower.

    Raises:
        tf.errors.InvalidArgumentError: a record does not have these features.
    """
    import tensorflow as tf

    spec = {
        name: tf.io.FixedLenFeature(feature.shape, feature.dtype)
        for name, feature in features.items()
    }
    parsed: dict[str, tf.Tensor] = tf.io.parse_example(serialized, spec)
    return parsed


def to_ids(sequence: tf.Tensor) -> tf.Tensor:
    """Return the ids of the feature `sequence`, (batch, max_length) integers.

    One-hot vectors cannot tell unknown from padding: both become 0.
    """
    import tensorflow as tf

    if sequence.dtype.is_integer:
        return sequence
    known = tf.reduce_max(sequence, axis=2) > 0
    return tf.where(known, tf.argmax(sequence, axis=2) + 1, 0)


def ids_to_text(ids: Sequence[int], alphabet: Sequence[str]) -> str:
    """Return the characters of ids without padding; U+FFFD stands for an unknown character."""
    return "".join(alphabet[i - 1] if 0 < i <= len(alphabet) else UNKNOWN_CHARACTER for i in ids)

"""Text to ids: the graph that TensorFlow Transform learns and saves, and that encodes everywhere.

The same saved graph encodes here and in the served model, so that there is one definition of it.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_transform.tf_metadata import schema_utils
from tfx_bsl.tfxio.tensor_adapter import TensorAdapterConfig
from tfx_bsl.tfxio.tensor_representation_util import InferTensorRepresentationsFromSchema

from pipeline.options import Options
from pipeline.runtime.filesystems import local_tree

Tensors = Mapping[str, tf.Tensor]

_ALPHABET_FILE = "alphabet"
_LABELS_FILE = "labels"
_TEXT_COLUMN = pa.large_list(pa.large_binary())
_ANALYZED = pa.schema([("sequence", _TEXT_COLUMN), ("label", _TEXT_COLUMN)])


def encode_text(inputs: Tensors, options: Options) -> dict[str, tf.Tensor]:
    """TFT's preprocessing function: raw text to ids, length and label.

    Args:
        inputs: `sequence` and `label`, (batch,) string.
        options: of the preparation.

    Returns:
        `sequence` (batch, max_length) int64: 0 padding, 1… the alphabet, then unknown.
        `length` (batch,) int64, in characters, at most max_length.
        `label` (batch,) int64, -1 for a label that was not in the train split.
    """
    sequence = inputs["sequence"]
    size = tf.minimum(tf.strings.length(sequence, unit="UTF8_CHAR"), options.max_length)
    inside = tf.sequence_mask(size, options.max_length)
    characters, index = _distinct_characters(sequence, options.max_length)
    if options.alphabet is None:
        counts = tf.math.bincount(tf.boolean_mask(index, inside), minlength=tf.size(characters))
        seen = counts > 0
        vocabulary = tft.vocabulary(
            tf.boolean_mask(characters, seen),
            weights=tf.boolean_mask(counts, seen),
            top_k=options.num_characters,
            vocab_filename=_ALPHABET_FILE,
        )
        ids = 1 + tft.apply_vocabulary(characters, vocabulary, default_value=options.num_characters)
    else:
        ids = _ids_in(characters, options.alphabet)
    distinct, _, counts = tf.unique_with_counts(inputs["label"])
    labels = tft.vocabulary(distinct, weights=counts, vocab_filename=_LABELS_FILE)
    return {
        "sequence": tf.where(inside, tf.gather(ids, index), tf.constant(0, tf.int64)),
        "length": tf.cast(size, tf.int64),
        "label": tft.apply_vocabulary(inputs["label"], labels, default_value=-1),
    }


def _distinct_characters(sequence: tf.Tensor, max_length: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Code points (k,) int64, and which of them stands where: (batch, max_length) int32.

    What stands behind the end of a sequence means nothing. Looking up each code point once is
    what makes this fast; where all text is ASCII the bytes themselves are the index.
    """

    def of_ascii() -> tuple[tf.Tensor, tf.Tensor]:
        data = tf.io.decode_raw(sequence, tf.uint8, fixed_length=max_length)
        return tf.range(128, dtype=tf.int64), tf.cast(data, tf.int32)

    def of_unicode() -> tuple[tf.Tensor, tf.Tensor]:
        code_points = tf.strings.unicode_decode(sequence, "UTF-8")[:, :max_length]
        dense = tf.cast(code_points.to_tensor(shape=[None, max_length]), tf.int64)
        distinct, index = tf.unique(tf.reshape(dense, [-1]))
        return distinct, tf.reshape(index, tf.shape(dense))

    bytes_, characters = tf.strings.length(sequence), tf.strings.length(sequence, "UTF8_CHAR")
    distinct, index = tf.cond(tf.reduce_all(bytes_ == characters), of_ascii, of_unicode)
    return tf.ensure_shape(distinct, [None]), tf.ensure_shape(index, [None, max_length])


def _ids_in(characters: tf.Tensor, alphabet: str) -> tf.Tensor:
    """Ids of code points (k,) int64: 1 + the place in `alphabet`, or one more than the last."""
    same = characters[:, None] == tf.constant([ord(c) for c in alphabet], tf.int64)
    known = tf.reduce_any(same, axis=1)
    return tf.where(known, 1 + tf.argmax(same, axis=1), tf.constant(len(alphabet) + 1, tf.int64))


def analyzer_config() -> TensorAdapterConfig:
    """How TFT reads the batches that `to_analyze` makes."""
    scalar = tf.io.FixedLenFeature([], tf.string)
    schema = schema_utils.schema_from_feature_spec({"sequence": scalar, "label": scalar})
    return TensorAdapterConfig(_ANALYZED, InferTensorRepresentationsFromSchema(schema))


def to_analyze(sequence: pa.StringArray, label: pa.StringArray) -> pa.RecordBatch:
    """Rows as TFT wants them: each value in a list of one."""
    offsets = pa.array(np.arange(len(sequence) + 1), pa.int64())
    columns = [
        pa.LargeListArray.from_arrays(offsets, column.cast(pa.large_binary()))
        for column in (sequence, label)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=_ANALYZED)


@dataclass(frozen=True)
class Vocabulary:
    """The alphabet, in order of ids from 1, and the labels, in order of ids from 0."""

    alphabet: tuple[str, ...]
    labels: tuple[str, ...]


def read_vocabulary(transform_dir: str, options: Options) -> Vocabulary:
    """Read back what the analysis learned."""
    with local_tree(transform_dir) as local:
        output = tft.TFTransformOutput(local)
        if options.alphabet is None:
            learned = output.vocabulary_by_name(_ALPHABET_FILE)
            alphabet = tuple(chr(int(code_point)) for code_point in learned)
        else:
            alphabet = tuple(options.alphabet)
        labels = tuple(label.decode("utf-8") for label in output.vocabulary_by_name(_LABELS_FILE))
    return Vocabulary(alphabet, labels)


class Encoded(NamedTuple):
    """Encoded rows, all int64: ids (n, max_length), length (n,), label (n,)."""

    ids: npt.NDArray[np.int64]
    length: npt.NDArray[np.int64]
    label: npt.NDArray[np.int64]


def encode(transform_dir: str, sequence: pa.Array, label: pa.Array) -> Encoded:
    """Run the saved graph on text columns of n rows."""
    with _loading:
        graph = _load_graph(transform_dir)
    outputs = graph({"sequence": _to_tensor(sequence), "label": _to_tensor(label)})
    return Encoded(*(outputs[name].numpy() for name in ("sequence", "length", "label")))


def encode_rows(transform_dir: str, sequences: Sequence[str], labels: Sequence[str]) -> Encoded:
    """The same for rows at hand as Python strings."""
    return encode(transform_dir, pa.array(sequences, pa.string()), pa.array(labels, pa.string()))


# Threads that come at once wait for one to fetch and load it.
_loading = threading.Lock()


@lru_cache(maxsize=1)
def _load_graph(transform_dir: str) -> tf.types.experimental.GenericFunction:
    with local_tree(transform_dir) as local:
        path = tft.TFTransformOutput(local).transform_savedmodel_dir
        return tf.saved_model.load(path).transform_fn


def _to_tensor(column: pa.Array) -> tf.Tensor:
    return tf.constant(column.cast(pa.binary()).to_numpy(zero_copy_only=False))

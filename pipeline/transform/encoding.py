"""Text to ids, as a TensorFlow graph: TensorFlow Transform learns the vocabulary and saves it.

The saved graph encodes in the preparation and in the served model, so that there is one definition
of the encoding.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_transform.tf_metadata import schema_utils
from tfx_bsl.tfxio.tensor_adapter import TensorAdapterConfig
from tfx_bsl.tfxio.tensor_representation_util import InferTensorRepresentationsFromSchema

from pipeline.options import AUTO, Options
from pipeline.transform.decoding import decode_normalized

Tensors = Mapping[str, tf.Tensor]

# The names under which the graph keeps its vocabularies.
ALPHABET_FILE = "alphabet"
LABELS_FILE = "labels"
_TEXT_COLUMN = pa.large_list(pa.large_binary())
_ANALYZED = pa.schema([("sequence", _TEXT_COLUMN), ("label", _TEXT_COLUMN)])


def encode_text(inputs: Tensors, options: Options) -> dict[str, tf.Tensor]:
    """Encode raw text as ids, length and label: the preprocessing function for TFT.

    Args:
        inputs: `sequence` and `label`, (batch,) string, in NFC with `--normalize nfc`; sequences
            need not be lowercased, stripped or cut.
        options: the options of the preparation.

    Returns:
        `sequence` (batch, max_length) int64: 0 padding, 1… the alphabet, then unknown.
        `length` (batch,) int64, in characters, at most max_length.
        `label` (batch,) int64, -1 for a label that was not in the train split.
    """
    ids, length = encode_sequences(inputs["sequence"], options)
    return {"sequence": ids, "length": length, "label": _learn_labels(inputs["label"])}


def encode_sequences(text: tf.Tensor, options: Options) -> tuple[tf.Tensor, tf.Tensor]:
    """Return `sequence` and `length` of `encode_text` for (batch,) string."""
    characters, index, length = decode_normalized(text, options)
    inside = tf.sequence_mask(length, options.num_positions)
    if options.alphabet is None:
        counts = tf.math.bincount(tf.boolean_mask(index, inside), minlength=tf.size(characters))
        ids = _learn_ids(characters, counts, options)
    else:
        ids = _ids_in(characters, options.alphabet, options.unknown_id)
    sequence = tf.where(inside, tf.gather(ids, index), tf.constant(0, tf.int64))
    return sequence, tf.cast(length, tf.int64)


def _learn_ids(characters: tf.Tensor, counts: tf.Tensor, options: Options) -> tf.Tensor:
    """Return ids of code points (k,) int64 in an alphabet of the most frequent ones.

    With AUTO the vocabulary is cut once it is learned, and unknown is one more than what it then
    has; else one more than the size that was asked for.

    Args:
        characters: (k,) int64, code points.
        counts: (k,), how often each occurs in the batch.
        options: the options of the preparation.
    """
    seen = counts > 0
    vocabulary = tft.vocabulary(
        tf.boolean_mask(characters, seen),
        weights=tf.boolean_mask(counts, seen),
        top_k=options.num_characters,
        vocab_filename=ALPHABET_FILE,
    )
    unknown: dict[str, int] = (
        {"num_oov_buckets": 1}
        if options.alphabet_size == AUTO
        else {"default_value": options.num_characters}
    )
    return 1 + tft.apply_vocabulary(characters, vocabulary, **unknown)


def _ids_in(characters: tf.Tensor, alphabet: str, unknown_id: int) -> tf.Tensor:
    """Return ids of code points (k,) int64: 1 + the place in `alphabet`, or that of unknown."""
    same = characters[:, None] == tf.constant([ord(c) for c in alphabet], tf.int64)
    known = tf.reduce_any(same, axis=1)
    return tf.where(known, 1 + tf.argmax(same, axis=1), tf.constant(unknown_id, tf.int64))


def _learn_labels(label: tf.Tensor) -> tf.Tensor:
    """Return ids of labels (batch,) string, the most frequent label first; -1 for a new one."""
    distinct, _, counts = tf.unique_with_counts(label)
    vocabulary = tft.vocabulary(distinct, weights=counts, vocab_filename=LABELS_FILE)
    return tft.apply_vocabulary(label, vocabulary, default_value=-1)


def analyzer_config() -> TensorAdapterConfig:
    """Return how TFT reads the batches that `to_analyze` makes."""
    scalar = tf.io.FixedLenFeature([], tf.string)
    schema = schema_utils.schema_from_feature_spec({"sequence": scalar, "label": scalar})
    return TensorAdapterConfig(_ANALYZED, InferTensorRepresentationsFromSchema(schema))


def from_analyzed(batch: pa.RecordBatch) -> tuple[pa.StringArray, pa.StringArray]:
    """Return sequences and labels of rows that `to_analyze` returned."""
    sequence, label = (batch[name].flatten().cast(pa.string()) for name in _ANALYZED.names)
    return sequence, label


def to_analyze(sequence: pa.StringArray, label: pa.StringArray) -> pa.RecordBatch:
    """Return rows as TFT reads them: each value in a list of its own."""
    offsets = pa.array(np.arange(len(sequence) + 1), pa.int64())
    columns = [
        pa.LargeListArray.from_arrays(offsets, column.cast(pa.large_binary()))
        for column in (sequence, label)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=_ANALYZED)

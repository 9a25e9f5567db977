"""The saved graph of TensorFlow Transform: its vocabulary, and rows encoded with it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import tensorflow as tf
import tensorflow_transform as tft

from charseq.models.saved_model import load_saved_model
from pipeline.options import Options
from pipeline.runtime.filesystems import local_tree
from pipeline.transform.encoding import ALPHABET_FILE, LABELS_FILE


@dataclass(frozen=True)
class Vocabulary:
    """The alphabet, in order of ids from 1, and the labels, in order of ids from 0."""

    alphabet: tuple[str, ...]
    labels: tuple[str, ...]


def read_vocabulary(transform_dir: str, options: Options) -> Vocabulary:
    """Read the vocabulary that the analysis learned."""
    with local_tree(transform_dir) as local:
        output = tft.TFTransformOutput(local)
        if options.alphabet is None:
            code_points = output.vocabulary_by_name(ALPHABET_FILE)
            alphabet = tuple(chr(int(code_point)) for code_point in code_points)
        else:
            alphabet = tuple(options.alphabet)
        labels = tuple(label.decode("utf-8") for label in output.vocabulary_by_name(LABELS_FILE))
    return Vocabulary(alphabet, labels)


class Encoded(NamedTuple):
    """Encoded rows, all int64: ids (n, max_length), length (n,), label (n,)."""

    ids: npt.NDArray[np.int64]
    length: npt.NDArray[np.int64]
    label: npt.NDArray[np.int64]


def encode(
    transform_dir: str, sequence: pa.Array, label: pa.Array, trust_model: bool = False
) -> Encoded:
    """Encode text columns of n rows with the graph in `transform_dir`.

    trust_model: load the graph even if it does more than compute.

    Raises:
        DataError: it does.
    """
    with _load_lock:
        graph = _load_graph(transform_dir, trust_model)
    outputs = graph({"sequence": _to_tensor(sequence), "label": _to_tensor(label)})
    return Encoded(*(outputs[name].numpy() for name in ("sequence", "length", "label")))


def encode_texts(
    transform_dir: str, sequences: Sequence[str], labels: Sequence[str], trust_model: bool
) -> Encoded:
    """Encode n rows of Python strings with the graph in `transform_dir`, as `encode` does."""
    sequence, label = (pa.array(texts, pa.string()) for texts in (sequences, labels))
    return encode(transform_dir, sequence, label, trust_model)


# Threads that need the graph at the same time wait for one of them to fetch and load it.
_load_lock = threading.Lock()


@lru_cache(maxsize=1)
def _load_graph(transform_dir: str, trust_model: bool) -> tf.types.experimental.GenericFunction:
    with local_tree(transform_dir) as local:
        path = tft.TFTransformOutput(local).transform_savedmodel_dir
        return load_saved_model(path, transform_dir, trust_model).transform_fn


def _to_tensor(column: pa.Array) -> tf.Tensor:
    return tf.constant(column.cast(pa.binary()).to_numpy(zero_copy_only=False))

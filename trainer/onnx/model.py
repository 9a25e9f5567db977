"""A trained model of Keras as a file of ONNX: ids and lengths in, probabilities out."""

from __future__ import annotations

import json

import keras
import onnx

from charseq.errors import DataError
from charseq.manifest import Manifest
from charseq.models.saved_model import IDS, LENGTH, PROBABILITIES
from charseq.process.machine import format_bytes
from trainer.config import NGRAMS
from trainer.ngrams.classifier import LAYER
from trainer.onnx.graph import Graph
from trainer.onnx.ngrams import add_ngram_model
from trainer.onnx.stacked_lstm import add_stacked_model

_BATCH = "batch"
# Of a message of protobuf, which such a file is.
_MAX_BYTES = 2**31 - 1


def to_onnx(
    model: keras.Model, representation: str, manifest: Manifest, metadata: dict[str, str]
) -> onnx.ModelProto:
    """Return a trained model in ONNX.

    Inputs: `ids` (batch, max_length) int64 and `length` (batch,) int64, of 1 or more. Output:
    `probabilities` (batch, labels) float32. The metadata have the labels, as JSON.

    Args:
        model: as `model.keras` holds it.
        representation: that it was trained with.
        manifest: of the dataset that it was trained on.
        metadata: more of what the file says of the model.
    """
    graph = Graph()
    if representation == NGRAMS:
        probabilities = add_ngram_model(graph, model.get_layer(LAYER), IDS, LENGTH)
    else:
        probabilities = add_stacked_model(graph, model, representation, manifest, IDS, LENGTH)
    labels = json.dumps(manifest.labels, ensure_ascii=False)
    return graph.to_model(
        {IDS: [_BATCH, manifest.max_length], LENGTH: [_BATCH]},
        {PROBABILITIES: (probabilities, [_BATCH, len(manifest.labels)])},
        {"labels": labels, **metadata},
    )


def to_bytes(model: onnx.ModelProto) -> bytes:
    """Return the content of a file.

    Raises:
        DataError: it is larger than a file of ONNX can be.
    """
    if (size := model.ByteSize()) > _MAX_BYTES:
        raise DataError(
            f"the model takes {format_bytes(size)} in ONNX, whose files have at most "
            f"{format_bytes(_MAX_BYTES)}: train with fewer --ngram-buckets"
        )
    content: bytes = model.SerializeToString(deterministic=True)
    return content

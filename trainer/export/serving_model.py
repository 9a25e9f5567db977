"""The model that is served: raw strings in, and the signatures that a SavedModel offers.

It contains the transform graph that encoded the training data, so that a served string gets the
ids that its record would have.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from charseq.errors import DataError
from charseq.manifest import TRANSFORM_GRAPH_DIR, Manifest
from charseq.models.saved_model import (
    CLASSIFY,
    CLASSIFY_IDS,
    ENCODE,
    EXPLAIN,
    IDS,
    INFLUENCE,
    LABEL,
    LABELS,
    LENGTH,
    LOG_PROBABILITY,
    PROBABILITIES,
    PROBABILITY,
    SAVED_MODEL_FILE,
    SEQUENCE,
    STRANGENESS,
    STRANGENESS_IDS,
    SURPRISE,
    TOP_K,
    K,
    load_saved_model,
)
from trainer.config import NGRAMS
from trainer.data.dataset import Dataset
from trainer.data.representation import represent
from trainer.export.explanation import explain
from trainer.export.parity import read_parity
from trainer.export.prediction_sets import PredictionSets
from trainer.export.reference import Reference
from trainer.model.forward_pass import Gates, forward, sigmoid_gates, tanh_gates

_TEXTS = tf.TensorSpec([None], tf.string, name=SEQUENCE)
_IDS = tf.TensorSpec([None, None], tf.int64, name=IDS)
_LENGTHS = tf.TensorSpec([None], tf.int64, name=LENGTH)


class TextEncoder(tf.Module):
    """Raw text to ids, by the transform graph that encoded the records of a dataset.

    Args:
        dataset: where the graph is.
        trust_model: load the graph even if it does more than compute.

    Raises:
        DataError: the dataset has no graph, the graph does more than compute, or it does not
            reproduce `parity.jsonl`.
    """

    def __init__(self, dataset: Dataset, trust_model: bool = False) -> None:
        super().__init__()
        path = dataset.verified_path(TRANSFORM_GRAPH_DIR)
        where = dataset.display_path(TRANSFORM_GRAPH_DIR)
        if not os.path.isfile(os.path.join(path, SAVED_MODEL_FILE)):
            raise DataError(f"{where}: no transform graph, expected a SavedModel")
        # Kept as an attribute: what is exported must own the tables of the graph that it calls.
        self._transform = load_saved_model(path, where, trust_model)
        read_parity(dataset).replay(self.encode)

    def encode(self, text: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the ids (batch, max_length) int64 and lengths (batch,) int64 of (batch,) string.

        No record has length 0, but a client may send an empty string: it becomes one padding.
        """
        labels = tf.fill(tf.shape(text), "")
        encoded = self._transform.transform_fn({"sequence": text, "label": labels})
        return encoded["sequence"], tf.maximum(encoded["length"], 1)


class TextClassifier(tf.Module):
    """Raw text to labels: the encoder, the representation and the model in one.

    The names of attributes and methods are part of the exported graph.
    """

    def __init__(
        self,
        encoder: TextEncoder,
        model: keras.Model,
        representation: str,
        manifest: Manifest,
        reference: Reference | None = None,
    ) -> None:
        super().__init__()
        self._encoder = encoder
        # The model is hidden in a function, which tf.Module does not track. Of a tracked Keras
        # model each variable is saved twice, as Keras's and as TensorFlow's inside it. A session,
        # such as TensorFlow Serving's, restores one of them and reads the other;
        # tf.saved_model.load copes with both.
        self._model: Callable[[], Any] = lambda: model
        self._weights = [variable.value for variable in model.weights]
        self._representation = representation
        self._alphabet_size = manifest.alphabet_size
        self.unknown_id = manifest.unknown_id
        self.labels = tf.constant(manifest.labels)
        self._sets = self._strangeness = None
        if reference:
            self._sets = PredictionSets(reference.calibration, self.labels, self._classify_texts)
            self._strangeness = reference.strangeness

    def signatures(self) -> dict[str, tf.types.experimental.PolymorphicFunction]:
        """Return the signatures of the SavedModel, by name; see `charseq.models.saved_model`."""
        signatures = {
            CLASSIFY: self.classify,
            TOP_K: self.top_k,
            ENCODE: self.encode,
            CLASSIFY_IDS: self.classify_ids,
            EXPLAIN: self.explain,
        }
        if self._strangeness:
            signatures[STRANGENESS_IDS] = self._strangeness.strangeness_ids
        return {**signatures, **(self._sets.signatures() if self._sets else {})}

    @tf.function(input_signature=[_TEXTS], autograph=False)
    def classify(self, sequence: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return the most probable label of each text (batch,) string, and all probabilities.

        Returns:
            `label` (batch,) string, its `probability` (batch,) float32, and `probabilities`
            (batch, labels) float32, in the order of the manifest's labels. Of a model that had
            validation rows also `surprise` and `strangeness` (batch,) float32; see
            `trainer.strangeness.model`.
        """
        ids, length = self._encoder.encode(sequence)
        probabilities = self._probabilities(ids, length)
        answer = {
            LABEL: tf.gather(self.labels, tf.argmax(probabilities, axis=1)),
            PROBABILITY: tf.reduce_max(probabilities, axis=1),
            PROBABILITIES: probabilities,
        }
        if self._strangeness:
            answer[SURPRISE], answer[STRANGENESS] = self._strangeness.measure(ids, length)
        return answer

    @tf.function(input_signature=[_TEXTS, tf.TensorSpec([], tf.int32, name=K)], autograph=False)
    def top_k(self, sequence: tf.Tensor, k: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return the k most probable labels of each text, the most probable first.

        Args:
            sequence: (batch,) string.
            k: () int32; where there are fewer labels, all are returned.

        Returns:
            `labels` (batch, k) string and their `probabilities` (batch, k) float32.
        """
        probabilities = self._classify_texts(sequence)
        best = tf.math.top_k(probabilities, tf.minimum(k, tf.size(self.labels)))
        return {LABELS: tf.gather(self.labels, best.indices), PROBABILITIES: best.values}

    @tf.function(input_signature=[_TEXTS], autograph=False)
    def encode(self, sequence: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return `ids` (batch, max_length) int64 and `length` (batch,) int64 of (batch,) string."""
        ids, length = self._encoder.encode(sequence)
        return {IDS: ids, LENGTH: length}

    @tf.function(input_signature=[_IDS, _LENGTHS], autograph=False)
    def classify_ids(self, ids: tf.Tensor, length: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return the `probabilities` (batch, labels) float32 of what `encode` returned.

        It is XLA that compiles this.
        """
        return {PROBABILITIES: self._compute(tanh_gates, ids, length)}

    @tf.function(input_signature=[_TEXTS], autograph=False)
    def explain(self, sequence: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return how much each character of each text (batch,) string speaks for its label.

        Returns:
            `label` (batch,) string, its `log_probability` (batch,) float32 in nats, `length`
            (batch,) int64 of the text as it is encoded, and the `influence` (batch, max_length)
            float32 of each of its characters; see `trainer.export.explanation`.
        """
        ids, length = self._encoder.encode(sequence)
        found = explain(self._probabilities, ids, length, self.unknown_id)
        return {
            LABEL: tf.gather(self.labels, found.label),
            LOG_PROBABILITY: found.log_probability,
            INFLUENCE: found.influence,
            LENGTH: length,
        }

    def keras_probabilities(self, ids: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
        """Return the probabilities (batch, labels) that Keras computes for encoded text."""
        return self._model()({"sequence": self._represent(ids), "length": length}, training=False)

    def _classify_texts(self, texts: tf.Tensor) -> tf.Tensor:
        return self._probabilities(*self._encoder.encode(texts))

    # One function for all signatures from text: each further copy would make the file larger.
    @tf.function(input_signature=[_IDS, _LENGTHS], autograph=False)
    def _probabilities(self, ids: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
        return self._compute(sigmoid_gates, ids, length)

    def _compute(self, gates: Gates, ids: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
        if self._representation == NGRAMS:
            return self.keras_probabilities(ids, length)
        # `forward` computes in float32 only.
        if self._model().get_layer("lstm_1").compute_dtype != "float32":
            return self.keras_probabilities(ids, length)
        return forward(self._model(), self._represent, self.unknown_id + 1, gates, ids, length)

    def _represent(self, ids: tf.Tensor) -> tf.Tensor:
        return represent(ids, self._representation, self._alphabet_size)

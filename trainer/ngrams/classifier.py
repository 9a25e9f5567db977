"""A trained model of n-grams as a layer of Keras: ids to probabilities, in plain TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from trainer.export.forward_pass import last_and_mean_output, lstm_layer, sigmoid_gates
from trainer.ngrams.experts import Experts, Layer, Size, mix
from trainer.ngrams.model import NgramModel, count_ngrams, hash_sequences, make_inputs

LAYER = "ngram_classifier"


@keras.saving.register_keras_serializable("charseq")
class NgramClassifier(keras.layers.Layer):
    """The experts of n-grams with the vectors of those n-grams that the train split has.

    Call: ids (batch, max_length) int64 and lengths (batch,) int64 to probabilities (batch, classes)
    float32.

    Args:
        size: of the model, or its fields by name.
        num_rows: the n-grams' vectors that it has room for.
    """

    def __init__(self, size: Size | dict[str, Any], num_rows: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size = size if isinstance(size, Size) else Size(**{**size, "units": (*size["units"],)})
        self.num_rows = num_rows
        self.experts = Experts(self.size)
        self.expert_variables = self.experts.variables  # Keras saves the variables of attributes.
        # The place of each bucket's vector; 0, which is all zeros, of those that have none.
        self.places = self._constant("places", np.zeros(self.size.num_buckets + 1, np.int32))
        zeros = np.zeros((num_rows + 1, sum(self.size.table_widths)), np.float16)
        self.vectors = self._constant("vectors", zeros)

    @staticmethod
    def _constant(name: str, value: np.ndarray[Any, Any]) -> keras.Variable:
        return keras.Variable(
            value, dtype=value.dtype.name, trainable=False, autocast=False, name=name
        )

    def build(self, *shapes: Any) -> None:
        """Do nothing: all weights exist from the beginning."""
        self.built = True

    def call(self, sequence: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
        """Return the probabilities, as the class describes."""
        marked, buckets = hash_sequences(self.size, sequence, length)
        places = tf.gather(tf.convert_to_tensor(self.places), buckets)
        found = tf.gather(tf.convert_to_tensor(self.vectors), places)
        vectors = tf.reduce_sum(tf.cast(found, tf.float32), axis=2)
        inputs = make_inputs(self.size, marked, length, vectors, count_ngrams(buckets))
        answers = self.experts.log_probabilities(inputs, _read)
        return tf.exp(mix(answers, tf.convert_to_tensor(self.experts.mixture)))

    def compute_output_shape(self, *shapes: Any, **named: Any) -> tuple[int | None, int]:
        """Return (batch, classes)."""
        return (None, self.size.classes)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments with which Keras makes the layer again."""
        return {**super().get_config(), "size": asdict(self.size), "num_rows": self.num_rows}


def _read(layers: Sequence[Layer], vectors: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
    lstm = [lstm_layer(*layer) for layer in layers]
    last, mean = last_and_mean_output(lstm, sigmoid_gates, vectors, length)
    return tf.concat([last, mean], axis=1)


def build_classifier(model: NgramModel) -> keras.Model:
    """Return a trained model as one of Keras, from `sequence` and `length` to probabilities.

    The vectors of n-grams are rounded to float16, which halves the size of the file.
    """
    rows = model.table.touched()
    layer = NgramClassifier(model.size, len(rows), name=LAYER)
    for mine, trained in zip(layer.experts.variables, model.experts.variables, strict=True):
        mine.assign(keras.ops.convert_to_numpy(trained))
    places = np.zeros(model.size.num_buckets + 1, np.int32)
    places[rows] = np.arange(1, len(rows) + 1)
    layer.places.assign(places)
    vectors = model.table.vectors.numpy()[rows].astype(np.float16)
    layer.vectors.assign(np.pad(vectors, [(1, 0), (0, 0)]))
    inputs = {
        "sequence": keras.Input((model.size.max_length,), dtype="int64", name="sequence"),
        "length": keras.Input((), dtype="int64", name="length"),
    }
    probabilities = layer(inputs["sequence"], inputs["length"])
    return keras.Model(inputs, probabilities, name="ngram_lstm")

"""A trained model of n-grams as a layer of Keras: ids to probabilities, in plain TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from trainer.model.forward_pass import last_and_mean_output, lstm_layer, sigmoid_gates
from trainer.ngrams.counts import FEW
from trainer.ngrams.experts import Experts, Layer, Size, average_lstms, mix
from trainer.ngrams.hashing import buckets_of
from trainer.ngrams.index import NgramIndex
from trainer.ngrams.language_models import Statistics, add_language_models
from trainer.ngrams.model import (
    NgramModel,
    hash_sequences,
    make_inputs,
    order_distinct,
    read_all,
)

LAYER = "ngram_classifier"


@keras.saving.register_keras_serializable("charseq")
class NgramClassifier(keras.layers.Layer):
    """The experts of n-grams, with the vectors and counts of those that the train split has.

    Call: ids (batch, max_length) int64 and lengths (batch,) int64 to probabilities (batch, classes)
    float32.

    Args:
        size: of the model, or its fields by name.
        num_vectors, num_slots, num_keys, num_codes, num_few: the rows of these arrays.
    """

    def __init__(
        self,
        size: Size | dict[str, Any],
        num_vectors: int,
        num_slots: int,
        num_keys: int,
        num_codes: int,
        num_few: int,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.size = size if isinstance(size, Size) else Size(**{**size, "units": (*size["units"],)})
        self.lengths = {
            "num_vectors": num_vectors,
            "num_slots": num_slots,
            "num_keys": num_keys,
            "num_codes": num_codes,
            "num_few": num_few,
        }
        self.experts = Experts(self.size)
        self.expert_variables = self.experts.variables  # Keras saves the variables of attributes.
        classes = self.size.classes
        # The place of the vectors of each bucket: 0, where they are zeros, if it has none.
        self.vector_places = self._constant(
            "vector_places", np.zeros(self.size.num_buckets + 1, np.int32)
        )
        self.bag_vectors, self.lstm_vectors = (
            self._constant(f"{name}_vectors", np.zeros((num_vectors, width), np.float16))
            for name, width in (("bag", self.size.bag_dim), ("lstm", self.size.lstms_dim))
        )
        self.starts, self.keys, self.places = (
            self._constant(name, np.zeros(rows, np.int32))
            for name, rows in zip(NgramIndex._fields, (num_slots, num_keys, num_keys), strict=True)
        )
        self.codes = self._constant("codes", np.zeros((num_codes, 2, classes), np.uint8))
        self.few_labels = self._constant("few_labels", np.zeros((num_few, FEW), np.int32))
        self.few_codes = self._constant("few_codes", np.zeros((num_few, FEW, 2), np.uint8))
        self.symbols = self._constant("symbols", np.zeros((2, classes), np.float32))
        self.log_shares = self._constant("log_shares", np.zeros(classes, np.float32))

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
        marked, hashes = hash_sequences(self.size, sequence, length)
        buckets = buckets_of(hashes, self.size.num_buckets)
        ordered, is_new = order_distinct(buckets)
        all_places = tf.convert_to_tensor(self.vector_places)
        places, bag_places = tf.gather(all_places, buckets), tf.gather(all_places, ordered)
        inputs = make_inputs(
            marked,
            length,
            tf.convert_to_tensor(self.bag_vectors),
            tf.convert_to_tensor(self.lstm_vectors),
            read_all(places, buckets > 0, bag_places, is_new & (ordered > 0)),
        )
        learned = average_lstms(self.experts.log_probabilities(inputs, _read))
        answers = add_language_models(
            learned, self._statistics(), hashes, inputs.length, self.size.num_symbols
        )
        return tf.exp(mix(answers, tf.convert_to_tensor(self.experts.mixture)))

    def _statistics(self) -> Statistics:
        ngrams = (self.starts, self.keys, self.places)
        others = (self.codes, self.few_labels, self.few_codes, self.symbols, self.log_shares)
        return Statistics(
            NgramIndex(*map(tf.convert_to_tensor, ngrams)), *map(tf.convert_to_tensor, others)
        )

    def compute_output_shape(self, *shapes: Any, **named: Any) -> tuple[int | None, int]:
        """Return (batch, classes)."""
        return (None, self.size.classes)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments with which Keras makes the layer again."""
        return {**super().get_config(), "size": asdict(self.size), **self.lengths}


def _read(
    _number: int, layers: Sequence[Layer], vectors: tf.Tensor, length: tf.Tensor
) -> tf.Tensor:
    lstm = [lstm_layer(*layer) for layer in layers]
    last, mean = last_and_mean_output(lstm, sigmoid_gates, vectors, length)
    return tf.concat([last, mean], axis=1)


def build_classifier(model: NgramModel) -> keras.Model:
    """Return a trained model as one of Keras, from `sequence` and `length` to probabilities.

    The vectors of n-grams are rounded to float16, which halves the size of the file.
    """
    counts, places = model.counts, _place_vectors(model)
    vectors = np.zeros((places.max() + 1, sum(model.size.table_widths)), np.float16)
    vectors[places[1:]] = model.table.vectors.numpy()[1:]
    vectors[0] = 0
    layer = NgramClassifier(
        model.size,
        len(vectors),
        len(counts.ngrams.starts),
        len(counts.ngrams.keys),
        len(counts.codes),
        len(counts.few_labels),
        name=LAYER,
    )
    for mine, trained in zip(layer.experts.variables, model.experts.variables, strict=True):
        mine.assign(keras.ops.convert_to_numpy(trained))
    for variable, values in (
        (layer.vector_places, places),
        (layer.bag_vectors, vectors[:, : model.size.bag_dim]),
        (layer.lstm_vectors, vectors[:, model.size.bag_dim :]),
        (layer.starts, counts.ngrams.starts),
        (layer.keys, counts.ngrams.keys),
        (layer.places, counts.ngrams.places),
        (layer.codes, counts.codes),
        (layer.few_labels, counts.few_labels),
        (layer.few_codes, counts.few_codes),
        (layer.symbols, counts.symbols),
        (layer.log_shares, model.log_shares),
    ):
        variable.assign(values)
    inputs = {
        "sequence": keras.Input((model.size.max_length,), dtype="int64", name="sequence"),
        "length": keras.Input((), dtype="int64", name="length"),
    }
    probabilities = layer(inputs["sequence"], inputs["length"])
    return keras.Model(inputs, probabilities, name="ngram_lstm")


def _place_vectors(model: NgramModel) -> npt.NDArray[np.int32]:
    """Return the place of each bucket that has a vector, from 1; of the others 0."""
    places = np.zeros(model.size.num_buckets + 1, np.int32)
    touched = model.table.touched()
    places[touched] = np.arange(1, len(touched) + 1)
    return places

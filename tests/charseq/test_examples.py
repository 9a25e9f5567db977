"""The feature spec of the records, and Examples turned back into ids and text."""

from __future__ import annotations

import pytest
import tensorflow as tf

from charseq.examples import feature_spec, ids_to_text, parse_examples, to_ids
from charseq.manifest import Feature

pytestmark = pytest.mark.unit


def integers(*values: int) -> tf.train.Feature:
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def serialize(sequence: tf.train.Feature) -> bytes:
    features = {"sequence": sequence, "length": integers(2), "label": integers(1)}
    example = tf.train.Example(features=tf.train.Features(feature=features))
    return bytes(example.SerializeToString())


def test_the_feature_spec_of_both_encodings() -> None:
    scalar = Feature((), "int64")
    assert feature_spec("ids", 31, 25) == {
        "sequence": Feature((31,), "int64"),
        "length": scalar,
        "label": scalar,
    }
    assert feature_spec("one_hot", 31, 25)["sequence"] == Feature((31, 25), "float32")


def test_examples_of_ids_are_parsed() -> None:
    parsed = parse_examples(tf.constant([serialize(integers(2, 3, 0))]), feature_spec("ids", 3, 2))
    assert to_ids(parsed["sequence"]).numpy().tolist() == [[2, 3, 0]]
    assert parsed["length"].numpy().tolist() == [2]
    assert parsed["label"].numpy().tolist() == [1]


def test_one_hot_vectors_become_ids_and_unknown_becomes_0() -> None:
    floats = tf.train.Feature(float_list=tf.train.FloatList(value=[0, 1, 0, 0, 1, 0]))
    parsed = parse_examples(tf.constant([serialize(floats)]), feature_spec("one_hot", 3, 2))
    assert to_ids(parsed["sequence"]).numpy().tolist() == [[2, 0, 1]]


def test_records_of_another_feature_spec_are_refused() -> None:
    with pytest.raises(tf.errors.InvalidArgumentError):
        parse_examples(tf.constant([serialize(integers(2, 3))]), feature_spec("ids", 3, 2))


def test_ids_become_text() -> None:
    assert ids_to_text([2, 3, 1], ["é", "A"]) == "A\ufffdé"

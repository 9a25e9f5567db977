"""The bytes of records: those of Protocol Buffers and of TensorFlow's own writer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.tfrecord.crc32c import crc32c
from pipeline.tfrecord.framing import frame_records, one_hot_rows

pytestmark = pytest.mark.unit


def example(
    ids: list[int], length: int, label: int, one_hot_of: int | None, weight: float | None = None
) -> bytes:
    """One record as Protocol Buffers writes it."""

    def ints(values: list[int]) -> tf.train.Feature:
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))

    sequence = ints(ids)
    if one_hot_of is not None:
        floats = [float(i == k) for i in ids for k in range(1, one_hot_of + 1)]
        sequence = tf.train.Feature(float_list=tf.train.FloatList(value=floats))
    features = {"sequence": sequence, "length": ints([length]), "label": ints([label])}
    if weight is not None:
        floats_of_one = tf.train.FloatList(value=[weight])
        features["weight"] = tf.train.Feature(float_list=floats_of_one)
    message = tf.train.Example(features=tf.train.Features(feature=features))
    return message.SerializeToString(deterministic=True)  # type: ignore[no-any-return]


@st.composite
def batches(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """(ids, length, label, alphabet size), with varints of one to three bytes."""
    max_length = draw(st.sampled_from([1, 2, 31, 140]))
    size = draw(st.sampled_from([1, 25, 126, 127, 300, 20_000]))
    labels = draw(st.sampled_from([2, 128, 129, 40_000]))
    rows = draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    length = rng.integers(1, max_length + 1, rows)
    ids = rng.integers(1, size + 2, (rows, max_length))
    ids[np.arange(max_length) >= length[:, None]] = 0
    return ids, length, rng.integers(0, labels, rows), size


@settings(deadline=None, max_examples=60)
@given(batches(), st.sampled_from(["ids", "one_hot"]), st.booleans())
def test_the_bytes_are_those_of_protobuf_and_tfrecordwriter(
    tmp_path_factory: pytest.TempPathFactory,
    batch: tuple[np.ndarray, np.ndarray, np.ndarray, int],
    encoding: str,
    has_weight: bool,
) -> None:
    ids, length, label, size = batch
    weights = np.random.default_rng(len(ids)).lognormal(sigma=20, size=len(ids)).astype(np.float32)
    if encoding == "one_hot":
        ids, size = np.minimum(ids, 26), 25
    path = tmp_path_factory.mktemp("records") / "expected.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for row in range(len(ids)):
            writer.write(
                example(
                    ids[row].tolist(),
                    int(length[row]),
                    int(label[row]),
                    size if encoding == "one_hot" else None,
                    float(weights[row]) if has_weight else None,
                )
            )
    framed = frame_records(ids, length, label, encoding, size, weights if has_weight else None)
    assert bytes(framed) == path.read_bytes()


def test_a_record_is_read_with_nothing_but_the_documented_spec(tmp_path: Path) -> None:
    ids = np.array([[1, 26, 25] + [0] * 28])
    for encoding, shape, dtype in (("ids", [31], tf.int64), ("one_hot", [31, 25], tf.float32)):
        path = tmp_path / encoding
        path.write_bytes(frame_records(ids, np.array([3]), np.array([1]), encoding, 25))
        (record,) = tf.data.TFRecordDataset(str(path))
        parsed = tf.io.parse_single_example(
            record,
            {
                "sequence": tf.io.FixedLenFeature(shape, dtype),
                "length": tf.io.FixedLenFeature([], tf.int64),
                "label": tf.io.FixedLenFeature([], tf.int64),
            },
        )
        expected = ids[0] if encoding == "ids" else one_hot_rows(ids, 25)[0]
        np.testing.assert_array_equal(parsed["sequence"], expected)
        assert (int(parsed["length"]), int(parsed["label"])) == (3, 1)


def test_one_hot_of_padding_and_unknown_is_zero() -> None:
    assert one_hot_rows(np.array([[1, 2, 3, 0]]), 2).tolist() == [
        [[1.0, 0.0], [0.0, 1.0], [0.0, 0.0], [0.0, 0.0]]
    ]


def test_no_rows_are_no_bytes() -> None:
    empty = np.zeros(0, np.int64)
    assert bytes(frame_records(np.zeros((0, 31), np.int64), empty, empty, "ids", 25)) == b""


def test_crc32c_known_answers() -> None:
    """RFC 3720, appendix B.4."""
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43
    assert crc32c(b"123456789") == 0xE3069283

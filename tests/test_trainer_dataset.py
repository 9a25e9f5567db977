from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tests.trainer_fixtures import LABELS, encode, one_hot, toy_rows, write_dataset
from trainer import dataset
from trainer.dataset import (
    corruption_as_data_error,
    evaluation_batches,
    input_shape,
    represent,
    resolve_representation,
    training_batches,
)
from trainer.errors import DataError


def rows_of(batches):
    """Every row of an epoch in order: its sequence, flat, with its length and label."""
    return [
        (tuple(np.ravel(sequence).tolist()), int(length), int(label))
        for features, labels in batches
        for sequence, length, label in zip(
            features["sequence"].numpy(), features["length"].numpy(), labels.numpy(), strict=True
        )
    ]


def expected_rows(rows):
    return [(tuple(encode(text)), min(len(text), 6), LABELS.index(label)) for text, label in rows]


@pytest.fixture(scope="module")
def rows():
    return toy_rows(50)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory, rows):
    directory = tmp_path_factory.mktemp("ids")
    return write_dataset(directory, {"train": rows, "test": rows[:7]}, shards=3)


def test_an_epoch_holds_every_row_once_and_a_short_last_batch(manifest, rows):
    batches = list(training_batches(manifest, "embedding", 16, seed=0, epoch=1))
    assert [len(labels) for _, labels in batches] == [16, 16, 16, 2]
    assert sorted(rows_of(batches)) == sorted(expected_rows(rows))


def test_the_order_is_a_function_of_seed_and_epoch_alone(manifest):
    def order(seed, epoch, global_seed=0):
        tf.random.set_seed(global_seed)
        return rows_of(training_batches(manifest, "embedding", 16, seed, epoch))

    first = order(3, 1)
    assert order(3, 1, global_seed=8) == first
    assert order(3, 2) != first
    assert order(4, 1) != first


def test_the_order_crosses_shuffle_blocks_in_any_batch_size(manifest, rows, monkeypatch):
    monkeypatch.setattr(dataset, "_SHUFFLE_BLOCK", 20)
    order = rows_of(training_batches(manifest, "embedding", 16, seed=0, epoch=1))
    assert sorted(order) == sorted(expected_rows(rows))
    assert rows_of(training_batches(manifest, "embedding", 7, seed=0, epoch=1)) == order


def test_evaluation_reads_the_split_once_in_one_order(manifest, rows):
    order = rows_of(evaluation_batches(manifest, "test", "embedding", 4))
    assert sorted(order) == sorted(expected_rows(rows[:7]))
    assert order == rows_of(evaluation_batches(manifest, "test", "embedding", 3))


@pytest.mark.parametrize("encoding", ["ids", "one_hot"])
@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_one_hot_is_the_same_from_either_encoding(tmp_path, rows, encoding, compression):
    manifest = write_dataset(
        tmp_path, {"train": rows, "test": rows[:1]}, encoding=encoding, compression=compression
    )
    ((features, labels),) = evaluation_batches(manifest, "test", "one_hot", 4)
    text, label = rows[0]
    assert features["sequence"].numpy().tolist() == [one_hot(encode(text))]
    assert features["sequence"].dtype == tf.float32
    assert labels.numpy().tolist() == [LABELS.index(label)]


def test_each_representation_of_one_row_of_ids():
    ids = tf.constant([[2, 5, 0]], tf.int64)
    assert represent(ids, "embedding", 4).numpy().tolist() == [[2, 5, 0]]
    assert represent(ids, "one_hot", 4).numpy().tolist() == [
        [[0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    ]
    assert represent(ids, "scalar", 4).numpy().tolist() == [[[0.5], [1.25], [0]]]


def test_input_shape_answers_the_question(manifest):
    assert input_shape("embedding", manifest) == (6,)
    assert input_shape("one_hot", manifest) == (6, 4)
    assert input_shape("scalar", manifest) == (6, 1)


def test_representation_follows_the_records_unless_given(manifest, tmp_path, rows):
    assert resolve_representation(None, manifest) == "embedding"
    assert resolve_representation("scalar", manifest) == "scalar"
    one_hot_records = write_dataset(tmp_path, {"train": rows}, encoding="one_hot")
    assert resolve_representation(None, one_hot_records) == "one_hot"
    assert resolve_representation("one_hot", one_hot_records) == "one_hot"


@pytest.mark.parametrize("representation", ["embedding", "scalar"])
def test_one_hot_records_take_no_other_representation(tmp_path, rows, representation):
    manifest = write_dataset(tmp_path, {"train": rows}, encoding="one_hot")
    message = f"got '{representation}', expected 'one_hot' for the one_hot records"
    with pytest.raises(DataError, match=message):
        resolve_representation(representation, manifest)


def test_a_corrupted_shard_is_an_error_for_people(tmp_path):
    manifest = write_dataset(tmp_path, {"train": toy_rows(8)}, shards=1)
    shard = tmp_path / manifest.shards[0].path
    content = bytearray(shard.read_bytes())
    content[40] ^= 0xFF
    shard.write_bytes(content)
    with (
        pytest.raises(DataError, match=f"{tmp_path}: a shard is corrupted"),
        corruption_as_data_error(manifest),
    ):
        list(training_batches(manifest, "embedding", 4, seed=0, epoch=1))

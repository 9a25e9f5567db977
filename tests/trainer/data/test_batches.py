from __future__ import annotations

import time
import tracemalloc
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from charseq.errors import DataError
from tests.support.datasets import LABELS, encode, one_hot, rows_of, toy_rows, write_dataset
from trainer.data import batches
from trainer.data.batches import Batches, resolve_batch_size
from trainer.data.order import length_bucketed_order
from trainer.data.records import read_errors_as_data_error, read_rows
from trainer.data.representation import input_shape, represent, restore_ids
from trainer.settings import resolve_representation
from trainer.steps.shares import Shares
from trainer.steps.steps import split_over_replicas


def expected_rows(rows):
    return [(tuple(encode(text)), min(len(text), 6), LABELS.index(label)) for text, label in rows]


@pytest.fixture(scope="module")
def rows():
    return toy_rows(50)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory, rows):
    directory = tmp_path_factory.mktemp("ids")
    return write_dataset(directory, {"train": rows, "test": rows[:7]}, shards=3)


@pytest.mark.unit
@pytest.mark.parametrize(
    ("requested", "rows", "size"), [(512, 513, 512), (512, 512, 512), (512, 467, 467), (2, 1, 1)]
)
def test_a_batch_holds_no_more_than_the_rows_of_an_epoch(requested, rows, size):
    assert resolve_batch_size(requested, rows) == size


def epoch(dataset, batch_size=16, seed=0, number=1, skip=0, **settings):
    settings = {"representation": "embedding", **settings}
    return Batches(dataset, batch_size=batch_size, seed=seed, **settings).training(number, skip)


def test_characters_become_unknown_in_training_only(dataset):
    unknown = Batches(dataset, "embedding", 16, unknown_rate=1.0)
    for sequence, length, _ in rows_of(unknown.training(1)):
        assert sequence == (dataset.manifest.unknown_id,) * length + (0,) * (6 - length)
    seen = rows_of(unknown.evaluation("train"))
    assert seen == rows_of(Batches(dataset, "embedding", 16).evaluation("train"))


CACHES = pytest.mark.parametrize("cache", ["none", "memory"])


@CACHES
def test_an_epoch_holds_every_row_once_in_batches_of_one_size(dataset, rows, cache):
    batches = list(epoch(dataset, cache=cache))
    assert [len(labels) for _, labels, _ in batches] == [16, 16, 16, 16]
    assert sum(weights.numpy().sum() for *_, weights in batches) == len(rows)
    assert sorted(rows_of(epoch(dataset, cache=cache))) == sorted(expected_rows(rows))


@CACHES
def test_the_order_is_a_function_of_seed_and_epoch_alone(dataset, cache):
    def order(seed, number, global_seed=0):
        tf.random.set_seed(global_seed)
        return rows_of(epoch(dataset, seed=seed, number=number, cache=cache))

    first = order(3, 1)
    assert order(3, 1, global_seed=8) == first
    assert order(3, 2) != first
    assert order(4, 1) != first


@CACHES
@pytest.mark.parametrize("skip", range(5))
def test_what_is_skipped_is_the_beginning_of_the_same_order(dataset, monkeypatch, cache, skip):
    monkeypatch.setattr(batches, "_SHUFFLE_BLOCK", 32)  # Two batches of 16 in a block.
    whole = list(epoch(dataset, cache=cache).as_numpy_iterator())
    rest = list(epoch(dataset, skip=skip, cache=cache).as_numpy_iterator())
    assert len(rest) == 4 - skip
    for got, expected in zip(rest, whole[skip:], strict=True):
        tf.nest.map_structure(np.testing.assert_array_equal, got, expected)


def test_blocks_of_any_size_hold_every_row(dataset, rows, monkeypatch):
    monkeypatch.setattr(batches, "_SHUFFLE_BLOCK", 20)
    for batch_size in (7, 16, 60):
        order = rows_of(epoch(dataset, batch_size))
        assert sorted(order) == sorted(expected_rows(rows))


def test_rows_in_memory_take_a_byte_a_character_and_their_order_four(dataset):
    held = Batches(dataset, "embedding", 16, cache="memory")._rows_in_memory
    assert {name: column.dtype for name, column in held._columns.items()} == {
        "sequence": np.uint8,
        "length": np.uint8,
        "label": np.uint8,
    }
    held.count = 2_000_000
    tracemalloc.start()
    for number in (1, 2):
        held.blocks(np.random.default_rng(number), 16, 0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 4 <= peak / held.count < 5


def test_an_epoch_in_memory_is_over_when_the_next_begins(dataset):
    batches = Batches(dataset, "embedding", 16, cache="memory")
    first = batches.training(1)
    batches.training(2)
    with pytest.raises(tf.errors.UnknownError, match="another epoch has begun"):
        next(iter(first))


@CACHES
@pytest.mark.parametrize("replicas", [1, 2])
def test_batches_are_made_ahead_of_the_model(dataset, monkeypatch, cache, replicas):
    """Also while operations are to be deterministic, which stops what is stateful from it."""
    monkeypatch.setattr(batches, "_SHUFFLE_BLOCK", 16)
    tf.config.experimental.enable_op_determinism()
    arranged = []

    def note(length):
        arranged.append(len(length))
        return length

    def noted(length, *rest):
        same = tf.numpy_function(note, [length], length.dtype, stateful=False)
        return length_bucketed_order(tf.ensure_shape(same, length.shape), *rest)

    monkeypatch.setattr(batches, "length_bucketed_order", noted)
    context = SimpleNamespace(
        num_replicas_in_sync=replicas, num_input_pipelines=1, input_pipeline_id=0
    )
    iterator = iter(
        split_over_replicas(epoch(dataset, cache=cache), context, Shares(16, 2, replicas))
    )
    next(iterator)
    until = time.monotonic() + 20
    while len(arranged) < 4 and time.monotonic() < until:
        time.sleep(0.01)
    assert len(arranged) == 4


@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=60),
    st.integers(1, 20),
    st.integers(0, 2**63 - 1),
)
def test_a_batch_is_of_rows_of_about_the_same_length(lengths, batch_size, seed):
    order, weight = (
        part.numpy()
        for part in length_bucketed_order(
            tf.constant(lengths), batch_size, (seed, tf.constant(3, tf.int64))
        )
    )
    assert sorted(order[weight > 0]) == list(range(len(lengths)))
    assert len(order) == -(-len(lengths) // batch_size) * batch_size
    batches = np.array(lengths)[order].reshape(-1, batch_size)
    # Cut out of the sorted lengths: no two batches overlap by more than one length.
    bounds = sorted((batch.min(), batch.max()) for batch in batches)
    assert all(before[1] <= after[0] for before, after in pairwise(bounds))


def test_evaluation_reads_the_split_once_in_one_order(dataset, rows):
    def order(batch_size):
        return rows_of(Batches(dataset, "embedding", batch_size).evaluation("test"))

    assert sorted(order(4)) == sorted(expected_rows(rows[:7]))
    assert order(4) == order(3)


@pytest.mark.parametrize("encoding", ["ids", "one_hot"])
@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_one_hot_is_the_same_from_either_encoding(tmp_path, rows, encoding, compression):
    dataset = write_dataset(
        tmp_path, {"train": rows, "test": rows[:1]}, encoding=encoding, compression=compression
    )
    ((features, labels, weights),) = Batches(dataset, "one_hot", 2).evaluation("test")
    text, label = rows[0]
    assert features["sequence"].numpy().tolist() == [one_hot(encode(text))] * 2
    assert features["sequence"].dtype == tf.float32
    assert labels.numpy().tolist() == [LABELS.index(label)] * 2
    assert weights.numpy().tolist() == [1, 0]
    in_memory = rows_of(epoch(dataset, representation="one_hot", cache="memory"))
    streamed = rows_of(epoch(dataset, representation="one_hot"))
    assert sorted(in_memory) == sorted(streamed)


def test_each_representation_of_one_row_of_ids():
    ids = tf.constant([[2, 5, 0]], tf.int64)
    assert represent(ids, "embedding", 4).numpy().tolist() == [[2, 5, 0]]
    assert represent(ids, "one_hot", 4).numpy().tolist() == [
        [[0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    ]
    assert represent(ids, "scalar", 4).numpy().tolist() == [[[0.5], [1.25], [0]]]


def test_input_shape_of_each_representation():
    assert input_shape("embedding", 6, 4) == (6,)
    assert input_shape("one_hot", 6, 4) == (6, 4)
    assert input_shape("scalar", 6, 4) == (6, 1)


def test_representation_follows_the_records_unless_given(dataset, tmp_path, rows):
    assert resolve_representation(None, dataset) == "ngrams"
    assert resolve_representation("scalar", dataset) == "scalar"
    one_hot_records = write_dataset(tmp_path, {"train": rows}, encoding="one_hot")
    assert resolve_representation(None, one_hot_records) == "one_hot"
    assert resolve_representation("one_hot", one_hot_records) == "one_hot"


@pytest.mark.parametrize("representation", ["embedding", "scalar"])
def test_one_hot_records_take_no_other_representation(tmp_path, rows, representation):
    dataset = write_dataset(tmp_path, {"train": rows}, encoding="one_hot")
    message = f"got '{representation}', expected 'one_hot' for the one_hot records"
    with pytest.raises(DataError, match=message):
        resolve_representation(representation, dataset)


def test_a_corrupted_shard_is_a_data_error(tmp_path):
    dataset = write_dataset(tmp_path, {"train": toy_rows(8)}, shards=1)
    shard = tmp_path / dataset.manifest.shards[0].path
    content = bytearray(shard.read_bytes())
    content[-20] ^= 0xFF  # In the last record.
    shard.write_bytes(content)
    message = f"{tmp_path}: {dataset.manifest.shards[0].path}, record 8: corrupted, prepare"
    with pytest.raises(DataError, match=message), read_errors_as_data_error(dataset):
        list(epoch(dataset))


@pytest.mark.unit
@pytest.mark.parametrize("cache", ["none", "memory"])
def test_weights_have_a_mean_of_one_over_the_split(tmp_path, cache):
    weight_of = {"A": 1.0, "BA": 2.0, "BCA": 6.0, "C": 5.0}
    splits = {
        "train": [("A", "x"), ("BA", "y"), ("BCA", "y")],
        "validation": [("BA", "y"), ("C", "z")],
    }
    dataset = write_dataset(tmp_path, splits, shards=1, weight_of=weight_of.__getitem__)
    assert dataset.manifest.mean_weights("train") == [pytest.approx(4 / 3), pytest.approx(1 / 3), 1]
    batches = Batches(dataset, "embedding", batch_size=2, cache=cache)

    def weights_by_length(found):
        return sorted(
            (length, pytest.approx(weight))
            for features, _, weights in found.as_numpy_iterator()
            for length, weight in zip(features["length"], weights, strict=True)
            if weight
        )

    # 9 of 3 rows in all, and 7 of 2.
    assert weights_by_length(batches.training(1)) == [(1, 1 / 3), (2, 2 / 3), (3, 2)]
    assert weights_by_length(batches.evaluation("validation")) == [(1, 10 / 7), (2, 4 / 7)]


@pytest.mark.unit
@pytest.mark.parametrize("representation", ["embedding", "one_hot", "scalar"])
def test_ids_are_restored_from_the_input_of_the_model(tmp_path, representation):
    manifest = write_dataset(tmp_path, {"train": toy_rows(50)}).manifest
    ids = np.array([encode(text) for text, _ in toy_rows(50)])
    lengths = np.count_nonzero(ids, axis=1)
    inputs = represent(tf.constant(ids), representation, manifest.alphabet_size).numpy()
    restored = restore_ids(inputs, lengths, representation, manifest)
    assert restored.dtype == np.int64
    np.testing.assert_array_equal(restored, ids)


def test_no_iterator_has_a_thread_that_may_sleep_for_a_minute(tmp_path):
    """When it is let go of, an iterator waits for the thread that tunes it."""
    dataset = write_dataset(tmp_path, {"train": toy_rows(8), "validation": toy_rows(8)})
    of_batches = Batches(dataset, "embedding", batch_size=4)
    for each in (
        read_rows(dataset, ["train/part-0"], 4),
        of_batches.training(epoch=1),
        of_batches.evaluation("validation"),
        of_batches.evaluation("validation").take(1),
    ):
        assert each.options().autotune.enabled is False

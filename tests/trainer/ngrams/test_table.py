"""The table of vectors: what a step reads, what it writes, and what a checkpoint holds."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from trainer.ngrams.model import order_distinct
from trainer.ngrams.table import NgramTable, sum_by_row

pytestmark = pytest.mark.unit

# Two rows of two positions: bucket 3 stands three times, and 0 where there is no n-gram.
BUCKETS = tf.constant([[[3, 0], [1, 3]], [[3, 0], [0, 0]]])


def test_a_step_changes_the_rows_of_its_batch_only() -> None:
    table = NgramTable(4, widths=[1, 1])
    lookup = table.look_up(BUCKETS)
    assert lookup.rows.numpy().tolist() == [0, 1, 3]
    table.update(lookup, tf.constant([[1.0, 1.0], [0.0, 1.0], [2.0, -4.0]]), tf.constant([0.5, 1]))
    expected = np.array([[0, 0], [0, -1], [0, 0], [-0.5, 1], [0, 0]])
    np.testing.assert_allclose(table.vectors.numpy(), expected, atol=1e-5)
    np.testing.assert_allclose(table.squares.numpy()[3], [4, 16])
    assert table.touched().tolist() == [1, 3]


def test_no_step_reads_the_whole_table_under_a_strategy() -> None:
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    with strategy.scope():
        table = NgramTable(4, widths=[1, 1])

    def step() -> None:
        lookup = table.look_up(BUCKETS)
        table.update(lookup, lookup.vectors, tf.constant([0.5, 1]))

    graph = tf.function(lambda: strategy.run(step)).get_concrete_function().graph
    types = {operation.type for operation in graph.get_operations()}
    assert "ResourceGather" in types
    assert "ReadVariableOp" not in types


def test_the_rows_beside_a_row_do_not_change_the_order_in_which_its_vectors_are_added() -> None:
    table = NgramTable(8, widths=[1])
    table.vectors.assign(tf.range(9.0)[:, tf.newaxis])
    row, other = [[5, 2], [7, 5]], [[7, 7], [2, 1]]
    orders = []
    for batch in ([row], [other, row]):
        lookup = table.look_up(tf.constant(batch))
        bag_places, _ = order_distinct(lookup.places)
        orders.append(tf.gather(lookup.vectors, bag_places[-1])[..., 0].numpy().tolist())
    assert orders == [[[7, 5], [5, 2]]] * 2


def test_the_second_step_of_a_vector_is_shorter_and_its_numbers_share_a_rate() -> None:
    table = NgramTable(4, widths=[2, 1])
    for _ in range(2):
        lookup = table.look_up(tf.constant([[[2]]]))
        table.update(lookup, tf.constant([[1.0, -7.0, 3.0]]), tf.constant([1.0, 0.5]))
    both_steps = 1 + 1 / np.sqrt(2)
    expected = np.array([-1 / 5, 7 / 5, -0.5]) * both_steps  # 5² is the mean of 1² and 7².
    np.testing.assert_allclose(table.vectors.numpy()[2], expected, atol=1e-5)


def test_gradients_are_summed_where_an_ngram_stands() -> None:
    table = NgramTable(4, widths=[1])
    lookup = table.look_up(BUCKETS)
    kept = tf.constant([[[1.0, 0.0], [1.0, 2.0]], [[1.0, 0.0], [0.0, 0.0]]])
    by_position = tf.constant([[[1.0], [10.0]], [[100.0], [1000.0]]])
    # Bucket 3: 1 at the first position, 2 · 10 at the second, 100 in the other row.
    found = sum_by_row(lookup.places, by_position, kept, tf.constant(3))
    assert found.numpy().tolist() == [[0.0], [10.0], [121.0]]


def touch(table: NgramTable, bucket: int) -> None:
    lookup = table.look_up(tf.constant([[[bucket]]]))
    table.update(lookup, tf.constant([[1.0, 2.0]]), tf.constant([1.0, 1.0]))


def test_a_checkpoint_holds_the_touched_rows_and_restores_all() -> None:
    table = NgramTable(8, widths=[1, 1])
    table.update(
        table.look_up(tf.constant([[[5]]])), tf.constant([[1.0, 2]]), tf.constant([1.0, 1])
    )
    parts = {**table.stored("model"), **table.stored_squares("optimizer")}
    values = {key: part.numpy() for key, part in parts.items()}
    assert {key: value.shape for key, value in values.items()} == {
        "model/ngram_rows": (1,),
        "model/bag_vectors": (1, 1),
        "model/lstm_vectors": (1, 1),
        "optimizer/ngram_squares": (1, 2),
    }
    other = NgramTable(8, widths=[1, 1])
    other.update(
        other.look_up(tf.constant([[[7]]])), tf.constant([[1.0, 2]]), tf.constant([1.0, 1])
    )
    for key, part in {**other.stored("model"), **other.stored_squares("optimizer")}.items():
        part.assign(values[key])
    np.testing.assert_array_equal(other.vectors.numpy(), table.vectors.numpy())
    np.testing.assert_array_equal(other.squares.numpy(), table.squares.numpy())


def test_equal_ngrams_of_a_row_are_new_once() -> None:
    values = tf.constant([[[5, 2], [3, 2], [5, 0], [5, 5]]])
    ordered, is_new = order_distinct(values)
    assert ordered.numpy().tolist() == [[[5, 5], [5, 2], [5, 2], [3, 0]]]
    assert is_new.numpy().tolist() == [[[1, 1], [0, 1], [0, 0], [1, 1]]]

"""A step of a model of n-grams, beside the same model in the fewest words."""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainer.model import plain_lstm, xla_lstm
from trainer.ngrams.classifier import build_classifier
from trainer.ngrams.counts import count_ngrams
from trainer.ngrams.experts import Size, average_lstms
from trainer.ngrams.hashing import buckets_of
from trainer.ngrams.model import NgramModel, hash_sequences
from trainer.ngrams.replica import NgramReplica, Regularization
from trainer.steps.shares import Shares

pytestmark = pytest.mark.unit

SIZE = Size(
    unknown_id=4,
    classes=3,
    max_length=5,
    lstms=2,
    units=(4, 3),
    bag_dim=2,
    lstm_dim=3,
    ngram_max=3,
    num_buckets=64,
)
IDS = [[1, 2, 3, 4, 1], [2, 2, 0, 0, 0], [3, 1, 2, 0, 0], [4, 0, 0, 0, 0]]
LENGTHS = [5, 2, 3, 1]
LABELS = tf.constant([0, 1, 2, 1], tf.int64)
WEIGHTS = tf.constant([1.0, 1.0, 1.0, 0.0])
FEATURES = {
    "sequence": tf.constant(IDS, tf.int64),
    "length": tf.constant(LENGTHS, tf.int64),
}
RATE = 0.1


def new_replica(
    size: Size = SIZE,
    *,
    jit_compile: bool = False,
    ngram_dropout: float = 0.0,
    dropout: float = 0.0,
):
    keras.utils.set_random_seed(1)
    hashes = hash_sequences(size, FEATURES["sequence"], FEATURES["length"])[1].numpy()
    counts = count_ngrams([(hashes, LABELS.numpy())], size.classes)
    model = NgramModel(size, counts, [0.5, 0.2, 0.3])
    # Vectors other than zero, as after some steps.
    shape = model.table.vectors.shape
    model.table.vectors.assign(
        np.random.default_rng(0).normal(size=shape) * (np.arange(65) > 0)[:, None]
    )
    optimizer = keras.optimizers.SGD(RATE)
    optimizer.build(model.experts.trainable_variables)
    return NgramReplica(
        model,
        optimizer,
        Regularization(dropout, ngram_dropout, seed=3),
        (400.0, 5.0),
        shares=Shares(4, 1),
        jit_compile=jit_compile,
    )


def plain_loss(model: NgramModel) -> tf.Tensor:
    """Return the mean over the rows of the losses of the bag and of each LSTM, row by row."""
    experts, losses, bag_dim = model.experts, [], model.size.bag_dim
    *bag_kernel, bag_bias = experts.bag_softmax
    for ids, length, label, weight in zip(IDS, LENGTHS, LABELS, WEIGHTS, strict=True):
        row = tf.constant([ids[:length]], tf.int64)
        marked, hashes = hash_sequences(SIZE, row, tf.constant([length], tf.int64))
        buckets = buckets_of(hashes, SIZE.num_buckets)
        vectors = tf.gather(model.table.vectors, buckets[0])
        of_sizes = buckets.numpy()[0].T
        distinct = [bucket for of_size in of_sizes for bucket in set(of_size.tolist()) - {0}]
        of_bag = tf.gather(model.table.vectors, distinct)[:, :bag_dim]
        mean = tf.reduce_mean(of_bag, axis=0, keepdims=True)
        scores = mean @ bag_kernel[0] if bag_kernel else mean
        logits = [scores + bag_bias]
        of_lstms = tf.split(tf.reduce_sum(vectors[..., bag_dim:], axis=1), SIZE.lstms, axis=1)
        for lstm, sums in zip(experts.lstms, of_lstms, strict=True):
            x = tf.gather(lstm.characters, marked[0]) + sums
            for kernel, recurrent, bias in lstm.layers:
                output = state = tf.zeros([1, recurrent.shape[0]])
                outputs = []
                for inputs in tf.unstack(x[:, tf.newaxis]):
                    i, f, g, o = tf.split(inputs @ kernel + output @ recurrent + bias, 4, axis=1)
                    state = tf.sigmoid(f) * state + tf.sigmoid(i) * tf.tanh(g)
                    output = tf.sigmoid(o) * tf.tanh(state)
                    outputs.append(output[0])
                x = tf.stack(outputs)
            mean_output = tf.reduce_mean(x[: length + 2], axis=0, keepdims=True)
            kernel, bias = lstm.softmax
            logits.append(tf.concat([x[-1:], mean_output], axis=1) @ kernel + bias)
        answers = tf.nn.log_softmax(tf.concat(logits, axis=0))
        losses.append(-weight * tf.reduce_sum(answers[:, int(label)]))
    return tf.add_n(losses) / tf.reduce_sum(WEIGHTS)


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("bag_dim", [2, 3])  # 3 are the scores of the labels.
def test_a_step_follows_the_gradient_of_both_losses(bag_dim: int, jit_compile: bool) -> None:
    replica = new_replica(replace(SIZE, bag_dim=bag_dim), jit_compile=jit_compile)
    model = replica.model
    variables = model.experts.trainable_variables
    with tf.GradientTape() as tape:
        tape.watch(model.table.vectors)
        loss = plain_loss(model)
    *dense, table = tape.gradient(loss, [*(each.value for each in variables), model.table.vectors])
    table = tf.convert_to_tensor(table).numpy() * 3  # Of the sum over the three rows.
    table[0] = 0  # Where there is no n-gram.
    expected = [
        v.numpy() - RATE * tf.convert_to_tensor(g) for v, g in zip(variables, dense, strict=True)
    ]
    before = model.table.vectors.numpy()
    replica.train(FEATURES, LABELS, WEIGHTS)
    for variable, value in zip(variables, expected, strict=True):
        np.testing.assert_allclose(variable.numpy(), value, atol=1e-5)
    widths = [bag_dim, 3, 3]
    squares = [np.mean(part**2, axis=1) for part in np.split(table, np.cumsum(widths)[:-1], axis=1)]
    np.testing.assert_allclose(model.table.squares.numpy().T, squares, atol=1e-5)
    rates = RATE * np.repeat([400, 5, 5], widths)
    roots = np.repeat(np.sqrt(np.stack(squares, axis=1)), widths, axis=1)
    moved = rates * table / (roots + 1e-6) * (np.abs(table) > 0)
    np.testing.assert_allclose(model.table.vectors.numpy(), before - moved, atol=2e-2)


def test_what_is_dropped_depends_on_seed_and_step_alone() -> None:
    def weights(steps: int) -> np.ndarray:
        replica = new_replica(ngram_dropout=0.5, dropout=0.5, jit_compile=True)
        for _ in range(steps):
            replica.train(FEATURES, LABELS, WEIGHTS)
        return np.array(replica.model.experts.lstms[0].characters)

    once, again, twice = weights(1), weights(1), weights(2)
    np.testing.assert_array_equal(once, again)
    assert not np.array_equal(once, twice)
    assert not np.array_equal(once, new_replica().model.experts.lstms[0].characters.numpy())


def test_the_classifier_answers_as_the_model_is_evaluated() -> None:
    replica = new_replica(jit_compile=True)
    replica.model.experts.mixture.assign([0.5, 0.2, 0.3])
    replica.train(FEATURES, LABELS, WEIGHTS)
    vectors = replica.model.table.vectors
    vectors.assign(vectors.numpy().astype(np.float16))
    # In a real table what no step has touched is zero.
    touched = replica.model.table.squares.numpy().any(axis=1)
    assert 0 < touched.sum() < 64
    vectors.assign(touched[:, np.newaxis] * vectors.numpy())
    loss, correct, rows = replica.evaluate(FEATURES, LABELS, tf.ones(4)).numpy()
    probabilities = build_classifier(replica.model)(FEATURES).numpy()
    picked = probabilities[np.arange(4), LABELS]
    np.testing.assert_allclose(-np.log(picked).sum(), loss, rtol=1e-4)
    assert (probabilities.argmax(axis=1) == LABELS.numpy()).sum() == correct
    assert rows == 4


def test_each_lstm_drops_other_outputs() -> None:
    replica = new_replica(dropout=0.5, jit_compile=True)
    one, other = replica.model.experts.lstms
    for mine, its in zip(one.variables, other.variables, strict=True):
        its.assign(mine)
    bag, lstm, _ = np.split(replica.model.table.vectors.numpy(), [2, 5], axis=1)
    replica.model.table.vectors.assign(np.concatenate([bag, lstm, lstm], axis=1))
    replica.train(FEATURES, LABELS, WEIGHTS)
    for mine, its in zip(one.variables, other.variables, strict=True):
        assert not np.array_equal(mine, its), mine.name


def test_lstms_are_averaged() -> None:
    """By the geometric mean: roots of 0.5 · 0.8 and of 0.5 · 0.2 are as 2 to 1."""
    probabilities = tf.constant([[[0.9, 0.1], [0.5, 0.5], [0.8, 0.2]]])
    averaged = tf.exp(average_lstms(tf.math.log(probabilities)))
    np.testing.assert_allclose(averaged, [[[0.9, 0.1], [2 / 3, 1 / 3]]], atol=1e-6)


def test_the_mixture_gets_the_derivatives_of_the_loss() -> None:
    replica = new_replica()
    weights = np.array([0.3, 0.6, 0.2])

    def loss(weights: np.ndarray) -> float:
        replica.model.experts.mixture.assign(weights)
        return float(replica.evaluate(FEATURES, LABELS, WEIGHTS).numpy()[0])

    def gradient(weights: np.ndarray) -> np.ndarray:
        replica.model.experts.mixture.assign(weights)
        return np.array(replica.mixture_derivatives(FEATURES, LABELS, WEIGHTS))[:3]

    steps = 0.003 * np.eye(3)
    first = [(loss(weights + step) - loss(weights - step)) / 0.006 for step in steps]
    second = [(gradient(weights + step) - gradient(weights - step)) / 0.006 for step in steps]
    np.testing.assert_allclose(gradient(weights), first, atol=1e-3)
    replica.model.experts.mixture.assign(weights)
    found = np.array(replica.mixture_derivatives(FEATURES, LABELS, WEIGHTS))[3:].reshape(3, 3)
    np.testing.assert_allclose(found, second, atol=1e-2)


def test_both_loops_of_the_lstm_agree() -> None:
    generator = np.random.default_rng(0)
    sequences, kernel, recurrent, bias = (
        tf.constant(generator.normal(size=shape), tf.float32)
        for shape in ((6, 3, 2), (2, 16), (4, 16), (16,))
    )
    plain = plain_lstm.lstm(sequences, tf.constant(4), kernel, recurrent, bias)
    compiled = tf.function(xla_lstm.lstm, jit_compile=True)
    np.testing.assert_allclose(
        plain, compiled(sequences, tf.constant(4), kernel, recurrent, bias), atol=1e-5
    )
    assert not plain.numpy()[4:].any()

from __future__ import annotations

import re
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainer.data.representation import represent
from trainer.model.network import EmbeddingSize, build_model, build_xla_model, prefix_mask

TIMESTEPS = 6
ALPHABET_SIZE = 4
SHAPES = {
    "embedding": (TIMESTEPS,),
    "one_hot": (TIMESTEPS, ALPHABET_SIZE),
    "scalar": (TIMESTEPS, 1),
}


def build(representation):
    keras.utils.set_random_seed(1)
    embedding = EmbeddingSize(ALPHABET_SIZE + 2, 3) if representation == "embedding" else None
    return build_model(SHAPES[representation], 3, (5, 4), embedding=embedding)


def probabilities(model, representation, ids, length):
    sequence = represent(tf.constant(ids, tf.int64), representation, ALPHABET_SIZE)
    return model({"sequence": sequence, "length": tf.constant(length, tf.int64)}).numpy()


def test_keras_stacked_lstm_for_sequence_classification():
    keras.utils.set_random_seed(0)
    model = build_model((8, 16), 10, (32, 32, 32), masked=False)
    assert model.count_params() == 23_242
    random = np.random.default_rng(0)

    def arrays(rows):
        labels = random.random((rows, 10), dtype=np.float32)
        # The guide left them so; but only for rows that add up to 1 is TensorFlow's gradient right.
        labels /= labels.sum(axis=1, keepdims=True)
        return {"sequence": random.random((rows, 8, 16), dtype=np.float32)}, labels

    model.compile(loss="categorical_crossentropy", optimizer="rmsprop", metrics=["accuracy"])
    history = model.fit(
        *arrays(1000), batch_size=64, epochs=5, validation_data=arrays(100), verbose=0
    )
    assert len(history.history["val_loss"]) == 5
    assert history.history["loss"][-1] < history.history["loss"][0]


def test_layers_are_the_stack_that_was_asked_for():
    model = build_model((31,), 7, (32, 16, 8), embedding=EmbeddingSize(27, 12))
    assert {tensor.name: tensor.shape for tensor in model.inputs} == {
        "sequence": (None, 31),
        "length": (None,),
    }
    assert model.output_shape == (None, 7)
    assert model.get_layer("embedding").embeddings.shape == (27, 12)
    stack = [layer for layer in model.layers if isinstance(layer, keras.layers.LSTM)]
    assert [(lstm.units, lstm.return_sequences) for lstm in stack] == [
        (32, True),
        (16, True),
        (8, False),
    ]


def test_mask_is_a_prefix_of_each_length():
    for sequence in (tf.zeros([2, 3]), tf.zeros([2, 3, 4])):
        mask = prefix_mask(tf.constant([1, 3], tf.int64), sequence)
        assert np.asarray(mask).tolist() == [[True, False, False], [True, True, True]]


@pytest.mark.parametrize("representation", SHAPES)
def test_the_compiled_model_is_the_plain_one(representation):
    """The same weights, probabilities and gradients, of batches whose longest row varies."""
    plain = build(representation)
    embedding = EmbeddingSize(ALPHABET_SIZE + 2, 3) if representation == "embedding" else None
    compiled = build_xla_model(SHAPES[representation], 3, (5, 4), embedding=embedding)
    assert [w.path for w in compiled.weights] == [w.path for w in plain.weights]
    compiled.set_weights(plain.get_weights())

    def gradients(model, features, labels):
        with tf.GradientTape() as tape:
            answer = model(features, training=True)
            loss = keras.losses.sparse_categorical_crossentropy(labels, answer)
        found = tape.gradient(loss, model.trainable_variables)
        return answer, [tf.convert_to_tensor(each) for each in found]

    by_xla = tf.function(lambda *batch: gradients(compiled, *batch), jit_compile=True)
    random = np.random.default_rng(0)
    for longest in (1, 4, TIMESTEPS):
        length = random.integers(1, longest + 1, 7)
        ids = random.integers(1, ALPHABET_SIZE + 2, (7, TIMESTEPS))
        ids *= np.arange(TIMESTEPS) < length[:, None]
        sequence = represent(tf.constant(ids), representation, ALPHABET_SIZE)
        batch = (
            {"sequence": sequence, "length": tf.constant(length)},
            tf.constant([0, 1, 2] * 2 + [0]),
        )
        got, expected = by_xla(*batch), gradients(plain, *batch)
        np.testing.assert_allclose(got[0], expected[0], atol=1e-6)
        for one, other in zip(got[1], expected[1], strict=True):
            np.testing.assert_allclose(one, other, atol=1e-5)
    assert by_xla.experimental_get_tracing_count() == 1
    # Were the lengths no parameter, XLA would compile anew for others.
    program = by_xla.experimental_get_compiler_ir(*batch)(stage="hlo")
    assert len(re.findall(r"s64\[7\]\S* parameter\(", program.partition("ENTRY")[2])) == 1


@pytest.mark.parametrize("representation", SHAPES)
def test_padding_never_changes_a_prediction(representation):
    model = build(representation)
    padded = probabilities(model, representation, [[1, 2, 3, 0, 0, 0]], [3])
    # Were padding read, other characters in its place would change the answer.
    overwritten = probabilities(model, representation, [[1, 2, 3, 4, 2, 1]], [3])
    np.testing.assert_array_equal(padded, overwritten)
    whole = probabilities(model, representation, [[1, 2, 3, 4, 2, 1]], [6])
    assert np.abs(whole - padded).max() > 1e-4


@pytest.mark.parametrize("representation", SHAPES)
def test_a_padded_sequence_gives_what_the_bare_one_gives(representation):
    padded = build(representation)
    shape = (3, *SHAPES[representation][1:])
    embedding = EmbeddingSize(ALPHABET_SIZE + 2, 3) if representation == "embedding" else None
    bare = build_model(shape, 3, (5, 4), embedding=embedding, masked=False)
    bare.set_weights(padded.get_weights())
    sequence = represent(tf.constant([[1, 2, 3]], tf.int64), representation, ALPHABET_SIZE)
    np.testing.assert_allclose(
        probabilities(padded, representation, [[1, 2, 3, 0, 0, 0]], [3]),
        bare({"sequence": sequence}).numpy(),
        atol=1e-6,
    )


def test_an_unknown_character_is_not_taken_for_padding():
    model = build("one_hot")
    ended = probabilities(model, "one_hot", [[1, 0, 0, 0, 0, 0]], [1])
    with_unknown = probabilities(model, "one_hot", [[1, 5, 0, 0, 0, 0]], [2])
    assert np.abs(ended - with_unknown).max() > 1e-4


def test_a_saved_model_loads_with_keras_alone(tmp_path):
    model = build("embedding")
    model.save(tmp_path / "model.keras")
    expected = probabilities(model, "embedding", [[1, 2, 3, 0, 0, 0]], [3])
    script = """
import sys, numpy as np, keras
model = keras.saving.load_model(sys.argv[1])
inputs = {"sequence": np.array([[1, 2, 3, 0, 0, 0]]), "length": np.array([3])}
print(np.asarray(model(inputs)).tolist())
"""
    loaded = subprocess.run(
        [sys.executable, "-I", "-c", script, str(tmp_path / "model.keras")],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )
    np.testing.assert_allclose(np.array(eval(loaded.stdout)), expected, atol=1e-7)

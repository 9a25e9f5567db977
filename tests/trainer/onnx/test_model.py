"""Models in ONNX, computed by onnxruntime, beside the same models of Keras."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import onnx
import pytest

from tests.support.manifests import toy_manifest
from trainer.ngrams.classifier import build_classifier
from trainer.ngrams.counts import count_ngrams
from trainer.ngrams.experts import Size
from trainer.ngrams.model import NgramModel, hash_sequences
from trainer.onnx.export import keras_answers
from trainer.onnx.model import to_bytes, to_onnx
from trainer.onnx.verification import load
from trainer.settings import Settings
from trainer.training.build import exported_model

pytestmark = pytest.mark.unit

MAX_LENGTH, ALPHABET_SIZE, UNKNOWN = 6, 4, 5
LABELS = ("y", "x", "z")
MANIFEST = replace(
    toy_manifest(),
    max_length=MAX_LENGTH,
    alphabet_size=ALPHABET_SIZE,
    alphabet=("A", "B", "C"),
    unknown_id=UNKNOWN,
    labels=LABELS,
)
UNITS = [(4,), (4, 3), (4, 3, 5)]
SIZE = Size(
    unknown_id=UNKNOWN,
    classes=3,
    max_length=MAX_LENGTH,
    lstms=1,
    units=(4,),
    bag_dim=3,
    lstm_dim=2,
    ngram_max=3,
    num_buckets=64,
)


def random_rows(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return ids and lengths; the first row is of one character, the second of full length."""
    random = np.random.default_rng(seed)
    length = random.integers(1, MAX_LENGTH + 1, count)
    length[:2] = (1, MAX_LENGTH)
    ids = random.integers(1, UNKNOWN + 1, (count, MAX_LENGTH))
    return np.where(np.arange(MAX_LENGTH) < length[:, None], ids, 0), length


def plain_model(representation: str, units: tuple[int, ...]) -> keras.Model:
    keras.utils.set_random_seed(1)
    settings = Settings(
        data=(), output="", representation=representation, units=units, embedding_dim=2
    )
    model = exported_model(MANIFEST, settings)
    for variable in model.weights:  # A new bias is zero.
        variable.assign(2 * keras.random.normal(variable.shape))
    return model


def ngram_model(size: Size, max_ngrams: int = 2**20, max_codes: int = 16_000_000) -> keras.Model:
    """Return a model with counts of 40 rows, and weights of which none is zero."""
    keras.utils.set_random_seed(2)
    ids, length = random_rows(40, seed=5)
    hashes = hash_sequences(size, ids, length)[1].numpy()
    labels = np.arange(40) % size.classes
    counts = count_ngrams([(hashes, labels)], size.classes, max_ngrams, max_codes)
    shares = np.arange(1, size.classes + 1) / np.arange(1, size.classes + 1).sum()
    model = NgramModel(size, counts, shares)
    vectors = np.random.default_rng(0).normal(size=model.table.vectors.shape)
    vectors[::3] = 0  # Buckets that no row of the training has.
    model.table.vectors.assign(vectors)
    for variable in model.experts.variables:
        variable.assign(keras.random.normal(variable.shape))
    model.experts.mixture.assign([0.5, 0.9, 0.2])
    return build_classifier(model)


def check(tmp_path: Path, model: keras.Model, representation: str, manifest=MANIFEST) -> None:
    """Compare what both answer for many rows, and for each of some rows alone."""
    exported = to_onnx(model, representation, manifest, {"more": "é"})
    onnx.checker.check_model(exported, full_check=True)
    read = {name for node in exported.graph.node for name in node.input}
    assert {constant.name for constant in exported.graph.initializer} <= read
    (tmp_path / "model.onnx").write_bytes(to_bytes(exported))
    got = load(str(tmp_path / "model.onnx"))
    expected = keras_answers(model, representation, ALPHABET_SIZE)
    ids, length = random_rows(50)
    answers = expected(ids, length)
    assert answers.std() > 0.1
    np.testing.assert_allclose(got(ids, length), answers, rtol=0, atol=2e-6)
    for row in (0, 1, 7):
        alone = got(ids[row : row + 1], length[row : row + 1])
        np.testing.assert_allclose(alone, answers[row : row + 1], rtol=0, atol=2e-6)


@pytest.mark.parametrize("units", UNITS)
@pytest.mark.parametrize("representation", ["embedding", "one_hot", "scalar"])
def test_a_stacked_lstm(representation: str, units: tuple[int, ...], tmp_path: Path) -> None:
    check(tmp_path, plain_model(representation, units), representation)


@pytest.mark.parametrize("lstms", [1, 3])
@pytest.mark.parametrize("units", UNITS)
def test_a_model_of_ngrams(units: tuple[int, ...], lstms: int, tmp_path: Path) -> None:
    check(tmp_path, ngram_model(replace(SIZE, units=units, lstms=lstms)), "ngrams")


@pytest.mark.parametrize("ngram_max", [1, 5])
def test_ngrams_of_one_symbol_and_of_many(ngram_max: int, tmp_path: Path) -> None:
    check(tmp_path, ngram_model(replace(SIZE, ngram_max=ngram_max)), "ngrams")


def test_a_bag_with_vectors_that_are_no_scores(tmp_path: Path) -> None:
    check(tmp_path, ngram_model(replace(SIZE, bag_dim=2)), "ngrams")


def test_counts_of_few_labels_only(tmp_path: Path) -> None:
    """For all but 3 n-grams; and 20 of them are not known at all."""
    model = ngram_model(SIZE, max_ngrams=60, max_codes=2 * SIZE.classes * 3)
    assert model.get_layer("ngram_classifier").codes.shape[0] == 1 + 3
    assert model.get_layer("ngram_classifier").few_labels.shape[0] > 10
    check(tmp_path, model, "ngrams")


def test_more_labels_than_the_language_models_answer_at_once(tmp_path: Path) -> None:
    labels = tuple(f"label {number}" for number in range(300))
    size = replace(SIZE, classes=300, bag_dim=4)
    model = ngram_model(size, max_codes=2 * 300 * 5)
    exported = to_onnx(model, "ngrams", replace(MANIFEST, labels=labels), {})
    (tmp_path / "model.onnx").write_bytes(to_bytes(exported))
    ids, length = random_rows(20)
    expected = keras_answers(model, "ngrams", ALPHABET_SIZE)(ids, length)
    got = load(str(tmp_path / "model.onnx"))(ids, length)
    assert got.shape == (20, 300)
    np.testing.assert_allclose(got, expected, rtol=0, atol=2e-6)


def test_the_file_says_what_it_takes_and_what_it_gives() -> None:
    model = to_onnx(plain_model("scalar", (4,)), "scalar", MANIFEST, {"alphabet": "alphabet.json"})
    named = {each.name: each.type.tensor_type for each in (*model.graph.input, *model.graph.output)}
    shapes = {
        name: [size.dim_param or size.dim_value for size in kind.shape.dim]
        for name, kind in named.items()
    }
    assert shapes == {"ids": ["batch", 6], "length": ["batch"], "probabilities": ["batch", 3]}
    types = [onnx.TensorProto.INT64, onnx.TensorProto.INT64, onnx.TensorProto.FLOAT]
    assert [kind.elem_type for kind in named.values()] == types
    assert {each.key: each.value for each in model.metadata_props} == {
        "labels": '["y", "x", "z"]',
        "alphabet": "alphabet.json",
    }
    assert [(each.domain, each.version) for each in model.opset_import] == [("", 18)]
    assert model.ir_version == 8


def test_the_same_model_makes_the_same_bytes() -> None:
    model = ngram_model(replace(SIZE, lstms=3))
    first, second = (to_bytes(to_onnx(model, "ngrams", MANIFEST, {"a": "b"})) for _ in range(2))
    assert first == second

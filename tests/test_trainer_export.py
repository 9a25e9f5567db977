from __future__ import annotations

import json
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.trainer_fixtures import LABELS, encode, toy_rows, write_dataset
from trainer.config import Config
from trainer.errors import DataError
from trainer.export import TextClassifier, TextEncoder
from trainer.loop import model_for


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("data"), {"train": toy_rows(9)}, transform=True)


@pytest.fixture
def manifest(written, tmp_path):
    """A dataset that a test may break."""
    shutil.copytree(written.directory, tmp_path / "data")
    return type(written)(**{**vars(written), "directory": str(tmp_path / "data")})


def change_parity(manifest, line, **values):
    path = manifest.path("parity.jsonl")
    with open(path, encoding="utf-8") as file:
        rows = [json.loads(text) for text in file]
    rows[line - 1].update(values)
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


def test_text_becomes_the_ids_that_records_hold(written):
    ids, length = TextEncoder(written).encode(tf.constant(["AC?", "ABCABCABC", ""]))
    assert ids.numpy().tolist() == [encode("AC?"), encode("ABCABCABC"), [0] * 6]
    assert length.numpy().tolist() == [3, 6, 1]


@pytest.mark.parametrize(
    "values", [{"ids": [1, 1, 1, 1, 1, 1]}, {"length": 9}, {"label_id": 7}, {"label": "unheard"}]
)
def test_a_row_that_is_encoded_otherwise_than_written(manifest, values):
    change_parity(manifest, 3, **values)
    with pytest.raises(DataError, match=r"parity\.jsonl, line 3: ids, length and label id of"):
        TextEncoder(manifest)


@pytest.mark.parametrize("name", ["parity.jsonl", "transform"])
def test_a_dataset_that_lacks_what_export_needs(manifest, name, tmp_path):
    (tmp_path / "data" / name).rename(tmp_path / name)
    with pytest.raises(DataError, match=name):
        TextEncoder(manifest)


@pytest.mark.parametrize("representation", ["embedding", "one_hot", "scalar"])
def test_answers_are_those_of_the_model(written, representation):
    config = Config(data="", output="", units=(4,), embedding_dim=2)
    keras.utils.set_random_seed(0)
    model = model_for(written, representation, config)
    classifier = TextClassifier(TextEncoder(written), model, representation, written)
    answer = classifier.classify(tf.constant(["AC?", ""]))
    probabilities = answer["probabilities"].numpy()
    assert probabilities.shape == (2, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(answer["probability"].numpy(), probabilities.max(axis=1))
    best = [LABELS[index].encode() for index in probabilities.argmax(axis=1)]
    assert answer["label"].numpy().tolist() == best

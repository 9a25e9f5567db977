"""A loaded model: its answers as arrays, and what it refuses."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from charseq import DataError, Model, UsageError, load_model
from charseq.api import model as module
from tests.support.paths import ROOT
from tests.support.toy_model import FINGERPRINT, LABELS, MAX_LENGTH, ToyModel, save_toy_model

ARCHIVE = ROOT / "tests" / "earlier" / "0.1.0.tar.gz"


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_toy_model(tmp_path_factory.mktemp("models") / "1")


@pytest.fixture(scope="module")
def model(directory: Path) -> Model:
    return load_model(directory)


def test_what_it_is(model: Model, directory: Path) -> None:
    assert model.labels == LABELS
    assert (model.saved_model, model.run) == (str(directory), None)
    assert repr(model) == (
        f"<charseq.Model '{directory}': 28 labels, max_length 6, dataset {FINGERPRINT[:16]}>"
    )
    assert "is A, is B" in model._repr_html_()


def test_predictions_are_in_the_order_of_the_sequences(model: Model) -> None:
    predictions = model.predict(["ABCD", "B", "CA", "D\0"])
    assert predictions.labels.tolist() == ["is A", "is B", "is C", "is D"]
    assert predictions.probability.tolist() == [0.25, 1.0, 0.5, 0.5]
    assert predictions.probabilities.tolist() == [[0.25, 0.75], [1, 0], [0.5, 0.5], [0.5, 0.5]]
    assert predictions.sequences == ("ABCD", "B", "CA", "D\0")
    assert predictions.labels.dtype == np.dtype(object)
    assert predictions.probability.dtype == np.dtype(np.float32)


def test_sequences_of_any_container(model: Model) -> None:
    for sequences in (
        ("AB", "C"),
        np.array(["AB", "C"]),
        pd.Series(["AB", "C"]),
        iter(["AB", "C"]),
    ):
        assert model.predict(sequences).labels.tolist() == ["is A", "is C"]
    empty = model.predict([])
    assert empty.labels.shape == empty.probability.shape == (0,)
    assert empty.probabilities.shape == (0, 2)


def test_a_batch_at_a_time(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "batch_rows", lambda max_length: 2)
    sequences = ["ABCDE", "B", "CAA", "DA", "EEEE"]
    predictions = model.predict(sequences)
    assert predictions.labels.tolist() == [f"is {sequence[0]}" for sequence in sequences]
    lengths = [len(sequence) for sequence in sequences]
    assert predictions.probability.tolist() == np.float32(1 / np.array(lengths)).tolist()


def test_text_becomes_nfc_as_that_of_the_dataset_did(directory: Path, model: Model) -> None:
    decomposed = "e\u0301A"
    assert model.predict([decomposed]).labels.tolist() == ["is e"]
    asset = directory / "assets" / "dataset.json"
    before = asset.read_text()
    asset.write_text(
        json.dumps(
            {
                **json.loads(before),
                "options": {"normalize": "nfc", "lowercase": False, "strip": False},
            }
        )
    )
    try:
        assert load_model(directory).predict([decomposed]).labels.tolist() == ["is é"]
    finally:
        asset.write_text(before)


@pytest.mark.parametrize(
    ("sequences", "message"),
    [
        ("AB", "sequences: got 'AB', expected a list of texts"),
        (None, "sequences: got None, expected a list of texts"),
        (["A", float("nan")], r"sequences\[1\]: got nan, expected text"),
        (["A", b"B"], r"sequences\[1\]: got b'B', expected text"),
        (["\ud800"], r"sequences\[0\]: got '\\ud800', expected text without surrogates"),
    ],
)
def test_what_are_no_sequences(model: Model, sequences: Any, message: str) -> None:
    with pytest.raises(UsageError, match=f"^{message}$"):
        model.predict(sequences)


def test_a_model_that_fails(model: Model) -> None:
    with pytest.raises(DataError, match=r"the model fails: .*no such sequence, please"):
        model.predict(["FAIL"])
    with pytest.raises(DataError, match=r"the model gives a probability outside 0 to 1$"):
        model.predict(["A", "NAN"])


def test_a_model_of_another_program(tmp_path: Path) -> None:
    model = load_model(save_toy_model(tmp_path, "other"))
    with pytest.raises(DataError, match=r"serving_default gives no probabilities, probability; is"):
        model.predict(["A"])


def test_an_earlier_model_gives_no_sets(model: Model) -> None:
    with pytest.raises(DataError, match="had no validation rows, or was exported by an earlier"):
        model.predict_set(["A"])
    assert model.predict(["A"]).strangeness is None


def test_coverages_and_methods_that_do_not_exist_are_refused(model: Model) -> None:
    with pytest.raises(UsageError, match="coverage: got 95, expected 0 to 1"):
        model.predict_set(["A"], coverage=95)
    with pytest.raises(UsageError, match=r"coverage: got '0\.9', expected 0 to 1"):
        model.predict_set(["A"], coverage="0.9")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="method: got 'best', expected one of lac, aps"):
        model.predict_set(["A"], method="best")


def test_sets_are_the_first_labels(tmp_path: Path, directory: Path) -> None:
    class Sets(ToyModel):
        @tf.function(
            input_signature=[
                tf.TensorSpec([None], tf.string, name="sequence"),
                tf.TensorSpec([], tf.float32, name="coverage"),
            ]
        )
        def sets(self, sequence: tf.Tensor, coverage: tf.Tensor) -> dict[str, tf.Tensor]:
            length = tf.strings.length(sequence)
            labels = tf.repeat(tf.constant([["is A", "is B", "is C"]]), tf.size(sequence), axis=0)
            return {
                "labels": labels,
                "probabilities": tf.zeros_like(labels, tf.float32),
                "size": tf.where(coverage > 0.9, length, 1),
            }

    toy = Sets()
    tf.saved_model.save(toy, str(tmp_path), {"predict_set": toy.sets})
    asset = (directory / "assets" / "dataset.json").read_text()
    (tmp_path / "assets" / "dataset.json").write_text(asset)
    loaded = load_model(tmp_path)
    assert loaded.predict_set(["ABC", "B"]) == [("is A", "is B", "is C"), ("is A",)]
    assert loaded.predict_set(["ABC"], coverage=0.5) == [("is A",)]


def test_an_earlier_model_explains_nothing(model: Model) -> None:
    message = "was exported by an earlier version, without the signature 'explain'; train it again"
    with pytest.raises(DataError, match=message):
        model.explain(["A"])


class Explaining(ToyModel):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="sequence")])
    def explain(self, sequence: tf.Tensor) -> dict[str, tf.Tensor]:
        encoded = self.encode(sequence)
        return {
            "label": self.classify(sequence)["label"],
            "log_probability": -tf.cast(encoded["length"], tf.float32),
            "influence": tf.cast(encoded["ids"], tf.float32),
            "length": encoded["length"],
        }


def test_explanations(tmp_path: Path, directory: Path) -> None:
    toy = Explaining()
    tf.saved_model.save(toy, str(tmp_path), {"explain": toy.explain})
    asset = (directory / "assets" / "dataset.json").read_text()
    (tmp_path / "assets" / "dataset.json").write_text(asset)
    explained = load_model(tmp_path).explain(["ABCABCABC", "B"])
    assert explained.sequences == ("ABCABC", "B")
    assert explained.labels.tolist() == ["is A", "is B"]
    assert explained.log_probability.tolist() == [-6, -1]
    assert explained.influence.tolist() == [[1, 2, 3, 1, 2, 3], [2, 0, 0, 0, 0, 0]]
    assert explained.length.tolist() == [MAX_LENGTH, 1]


def test_only_a_run_is_evaluated(model: Model) -> None:
    with pytest.raises(DataError, match=r"has no run, which is what is evaluated; load the run"):
        model.evaluate("data")
    with pytest.raises(UsageError, match=r"^split: got 'all', expected one of train, validation,"):
        model.evaluate("data", "all")


def test_what_version_0_1_0_wrote(tmp_path: Path) -> None:
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    run, registry = load_model(tmp_path / "run"), load_model(tmp_path / "registry")
    assert registry.saved_model == str(tmp_path / "registry" / "1")
    assert (run.run, Path(run)) == (str(tmp_path / "run"), tmp_path / "run")
    probabilities = run.predict(["ABC", ""]).probabilities
    assert probabilities.shape == (2, 2)
    assert probabilities.sum(axis=1).tolist() == pytest.approx([1, 1])
    assert "dataset" in run._repr_html_()


def test_addresses_are_refused() -> None:
    with pytest.raises(UsageError, match=r"^run_or_registry: got 'gs://b/m', expected a local dir"):
        load_model("gs://b/m")

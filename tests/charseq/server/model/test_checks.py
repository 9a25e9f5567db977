"""Versions whose signatures do not say the same, or not what their dataset does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from charseq.errors import DataError
from charseq.manifest import Manifest, parse_manifest
from charseq.models.saved_model import DATASET_ASSET
from charseq.server.model.checks import check_answers, check_files, make_texts
from charseq.server.model.messages import Call, Failed, Result
from charseq.server.model.served import ServedModel
from tests.support.manifests import toy_manifest
from tests.support.versioned_model import (
    LABELS,
    VersionedModel,
    probabilities,
    save_versioned_model,
    write_entry,
)


def load(directory: Path) -> tuple[ServedModel, Manifest]:
    manifest = parse_manifest((directory / DATASET_ASSET).read_bytes(), "dataset.json")
    return ServedModel(str(directory), manifest, False, "version 7"), manifest


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_versioned_model(tmp_path_factory.mktemp("saved") / "7", 7)


def test_a_sound_version_is_accepted_and_answers(saved: Path) -> None:
    check_files(str(saved))
    model, manifest = load(saved)
    check_answers(model, manifest)
    texts = np.array([b"abc", b"h", b"aZ"], object)
    result = model.call(Call("serving_default", {"sequence": texts}, {}))
    assert isinstance(result, Result)
    assert result.outputs["probabilities"] == pytest.approx(
        np.array([probabilities(text, 7) for text in ("abc", "h", "aZ")]), abs=1e-6
    )
    assert result.counted is not None
    assert (result.counted.characters, result.counted.unknown) == (6, 1)
    assert sum(result.counted.labels.values()) == 3


def test_an_error_of_the_model_has_its_code_and_not_the_path_of_the_model(saved: Path) -> None:
    model, _ = load(saved)
    failed = model.call(Call("explain", {"sequence": np.array([b"fail"], object)}, {}))
    assert isinstance(failed, Failed)
    assert failed.code == tf.errors.INVALID_ARGUMENT
    assert failed.message.startswith("version 7: the model fails: ")
    assert str(saved) not in failed.message


class OtherProbabilities(VersionedModel):
    """`serving_default` is of another version than `classify_ids`."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="sequence")])
    def classify(self, sequence: tf.Tensor) -> dict[str, tf.Tensor]:
        of_all = tf.nn.softmax(tf.cast(self.encode(sequence)["ids"][:, : len(LABELS)], tf.float32))
        return {
            "label": tf.gather(LABELS, tf.argmax(of_all, axis=1)),
            "probability": tf.reduce_max(of_all, axis=1),
            "probabilities": of_all,
        }


class NotANumber(VersionedModel):
    """Its probabilities are NaN."""

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, None], tf.int64, name="ids"),
            tf.TensorSpec([None], tf.int64, name="length"),
        ]
    )
    def classify_ids(self, ids: tf.Tensor, length: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"probabilities": tf.fill([tf.shape(ids)[0], len(LABELS)], float("nan"))}


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (OtherProbabilities, "signature serving_default and those of ids differ: "),
        (NotANumber, "signature serving_default gives no probabilities, 0 to 1"),
    ],
)
def test_signatures_that_disagree_are_refused(
    saved: Path, tmp_path: Path, kind: type[VersionedModel], message: str
) -> None:
    model = kind(7)
    tf.saved_model.save(
        model,
        str(tmp_path / "7"),
        {
            "serving_default": model.classify,
            "encode": model.encode,
            "classify_ids": model.classify_ids,
        },
    )
    (tmp_path / "7" / DATASET_ASSET).write_bytes((saved / DATASET_ASSET).read_bytes())
    with pytest.raises(DataError, match=message):
        check_answers(*load(tmp_path / "7"))


def test_another_alphabet_than_the_dataset_says_is_refused(saved: Path) -> None:
    model, manifest = load(saved)
    alphabet = (*manifest.alphabet[1:], manifest.alphabet[0])
    changed = toy_manifest(alphabet=alphabet, max_length=6, labels=LABELS)
    with pytest.raises(DataError, match="encode gives"):
        check_answers(model, changed)


def test_a_file_that_differs_or_is_missing_is_refused(saved: Path, tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"a")
    write_entry(tmp_path, {"saved_model.pb": "0" * 64})
    with pytest.raises(DataError, match=r"saved_model\.pb: has SHA-256 ca97.*, expected 0000"):
        check_files(str(tmp_path))
    write_entry(tmp_path, {"variables": "0" * 64})
    with pytest.raises(OSError, match="variables"):
        check_files(str(tmp_path))


def test_made_texts_are_of_the_alphabet_and_none_that_normalizing_changes() -> None:
    options = {"normalize": "nfc", "lowercase": True, "strip": True}
    manifest = toy_manifest(alphabet=("a", "B", " ", "é"), max_length=3, options=options)
    texts = make_texts(manifest)
    assert texts
    assert {len(text) for text in texts} <= {1, 2, 3}
    assert "".join(texts).isprintable()
    assert not any("B" in text or text != text.strip() for text in texts)

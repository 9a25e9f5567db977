from __future__ import annotations

import json
import os
import shutil
from contextlib import contextmanager
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf

from charseq.errors import DataError
from charseq.models.calibration import Calibration, Sureness, read_calibration
from charseq.models.graph_check import check_graph
from tests.support.datasets import LABELS, encode, toy_rows, write_dataset
from trainer.data.files import LocalFiles
from trainer.data.id_rows import IdRows
from trainer.evaluate.keras_file import load_keras_model
from trainer.export.parity import read_parity
from trainer.export.reference import Reference
from trainer.export.saved_model import check_export, export
from trainer.export.serving_model import TextClassifier, TextEncoder
from trainer.model import forward_pass
from trainer.replacement import begin_run
from trainer.settings import Settings
from trainer.strangeness.fit import count_all_ngrams
from trainer.strangeness.model import StrangenessModel, SurpriseModel
from trainer.training.build import exported_model

CALIBRATION = Calibration(
    rows=3,
    temperature=1.25,
    before=Sureness(1.5, 0.25),
    after=Sureness(1.0, 0.125),
    scores={"lac": (0.1, 0.66, 0.8), "aps": (0.4, 0.75, 0.9)},
)


def new_reference(dataset):
    """Return the calibration above, and that two rows are known: of 1 nat, and of 9."""
    rows = IdRows(np.array([encode("ABC")]), np.array([3]), np.array([0]), None)
    unknown_id = dataset.manifest.unknown_id
    surprise = SurpriseModel(count_all_ngrams(iter([rows]), unknown_id), unknown_id)
    return Reference(CALIBRATION, StrangenessModel(surprise, np.array([9, 1], np.float32)))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("data"), {"train": toy_rows(9)}, transform=True)


@pytest.fixture
def dataset(written, tmp_path):
    """A dataset that a test may break: its manifest has no hashes, as those of early versions."""
    shutil.copytree(written.directory, tmp_path / "data")
    files = LocalFiles(str(tmp_path / "data"))
    return replace(written, files=files, manifest=replace(written.manifest, files=()))


def change_parity(dataset, line, **values):
    path = dataset.path("parity.jsonl")
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
def test_a_parity_row_that_is_encoded_differently_is_refused(dataset, values):
    change_parity(dataset, 3, **values)
    with pytest.raises(DataError, match=r"parity\.jsonl, line 3: ids, length and label id of"):
        TextEncoder(dataset)


def test_parity_rows_become_nfc_before_the_graph_if_the_dataset_did_it(dataset):
    change_parity(dataset, 1, sequence="e\u0301 ")
    earlier = read_parity(dataset).sequences.numpy()
    now = replace(dataset.manifest, options={"normalize": "nfc", "lowercase": False, "strip": True})
    assert earlier[0] == "e\u0301 ".encode()
    assert read_parity(replace(dataset, manifest=now)).sequences.numpy()[0] == "\xe9 ".encode()


@pytest.mark.parametrize("name", ["parity.jsonl", "transform"])
def test_a_dataset_without_the_files_of_an_export_is_refused(dataset, name, tmp_path):
    (tmp_path / "data" / name).rename(tmp_path / name)
    with pytest.raises(DataError, match=name):
        TextEncoder(dataset)


@pytest.mark.parametrize(
    "name", ["parity.jsonl", "transform/transform_fn/saved_model.pb", "transform/extra"]
)
def test_a_graph_or_rows_that_changed_after_the_preparation_are_refused(written, tmp_path, name):
    shutil.copytree(written.directory, tmp_path / "data")
    with (tmp_path / "data" / name).open("ab") as file:
        file.write(b"\n")
    changed = replace(written, files=LocalFiles(str(tmp_path / "data")))
    if name == "transform/extra":  # Not a file of the graph.
        TextEncoder(changed)
        return
    with pytest.raises(DataError, match=f"{name}: changed after the preparation: its SHA-256 is"):
        TextEncoder(changed)


def settings_of(representation, **options):
    return Settings(data=(), output="", representation=representation, **options)


def new_classifier(dataset, representation="embedding", seed=0):
    config = settings_of(representation, units=(4,), embedding_dim=2)
    keras.utils.set_random_seed(seed)
    model = exported_model(dataset.manifest, config)
    return TextClassifier(TextEncoder(dataset), model, representation, dataset.manifest), model


@contextmanager
def dtype_policy(name):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


@pytest.mark.parametrize("representation", ["embedding", "one_hot", "scalar"])
def test_label_and_probability_follow_from_the_probabilities(written, representation):
    classifier, _ = new_classifier(written, representation)
    answer = classifier.classify(tf.constant(["AC?", ""]))
    probabilities = answer["probabilities"].numpy()
    assert probabilities.shape == (2, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(answer["probability"].numpy(), probabilities.max(axis=1))
    best = [LABELS[index].encode() for index in probabilities.argmax(axis=1)]
    assert answer["label"].numpy().tolist() == best


@pytest.mark.parametrize(
    ("representation", "dtype", "max_table_ids"),
    [
        ("embedding", "float32", 256),
        ("one_hot", "float32", 256),
        ("scalar", "float32", 256),
        ("embedding", "float32", 4),  # As for an alphabet of many characters.
        ("one_hot", "float32", 4),
        ("embedding", "mixed_bfloat16", 256),
    ],
)
def test_the_served_probabilities_are_those_that_keras_computes(
    written, representation, dtype, max_table_ids, monkeypatch
):
    """For every length there is, in one batch; and layers of several widths, with dropout."""
    monkeypatch.setattr(forward_pass, "_MAX_TABLE_IDS", max_table_ids)
    config = Settings(
        data=(),
        output="",
        representation=representation,
        units=(4, 3, 5),
        embedding_dim=2,
        dropout=0.5,
    )
    keras.utils.set_random_seed(1)
    with dtype_policy(dtype):
        model = exported_model(written.manifest, config)
    for variable in model.weights:  # A new bias is zero.
        variable.assign(3 * keras.random.normal(variable.shape))
    classifier = TextClassifier(TextEncoder(written), model, representation, written.manifest)
    texts = tf.constant(["ABC?AB"[:length] for length in range(7)] + ["BCABCABCA"])
    encoded = classifier.encode(texts)
    got = classifier.classify(texts)["probabilities"].numpy()
    assert got.std() > 0.1
    np.testing.assert_allclose(got, classifier.keras_probabilities(**encoded).numpy(), atol=1e-6)
    by_ids = classifier.classify_ids(**encoded)["probabilities"].numpy()
    np.testing.assert_allclose(by_ids, got, atol=1e-6)
    compiled = tf.function(classifier.classify_ids, jit_compile=True)(**encoded)["probabilities"]
    np.testing.assert_allclose(compiled.numpy(), got, atol=1e-6 if dtype == "float32" else 0.02)


def test_the_best_labels_come_first(written):
    classifier, _ = new_classifier(written)
    texts = tf.constant(["AC?", "B"])
    all_of_them = classifier.classify(texts)["probabilities"].numpy()
    answer = classifier.top_k(texts, tf.constant(2))
    names = [[LABELS[i].encode() for i in np.argsort(-row)[:2]] for row in all_of_them]
    assert answer["labels"].numpy().tolist() == names
    np.testing.assert_array_equal(answer["probabilities"], -np.sort(-all_of_them)[:, :2])
    assert classifier.top_k(texts, tf.constant(99))["labels"].shape == (2, 3)


@pytest.mark.parametrize("representation", ["embedding", "one_hot", "scalar"])
def test_influence_is_the_difference_to_a_text_with_a_character_that_is_unknown(
    written, representation
):
    classifier, model = new_classifier(written, representation)
    for variable in model.weights:
        variable.assign(2 * keras.random.normal(variable.shape, seed=1))
    texts = tf.constant(["ACB", "ABCABCABC", "A?", ""])
    answer = classifier.explain(texts)
    whole = classifier.classify(texts)
    assert answer["label"].numpy().tolist() == whole["label"].numpy().tolist()
    assert answer["length"].numpy().tolist() == [3, 6, 2, 1]
    log_probability = np.log(whole["probability"].numpy())
    np.testing.assert_allclose(answer["log_probability"], log_probability, atol=1e-5)
    label = LABELS.index(answer["label"].numpy()[0].decode())
    without = classifier.classify(tf.constant(["?CB", "A?B", "AC?"]))["probabilities"].numpy()
    expected = log_probability[0] - np.log(without[:, label])
    influence = answer["influence"].numpy()
    assert abs(expected).min() > 1e-4
    np.testing.assert_allclose(influence[0], [*expected, 0, 0, 0], atol=1e-5)
    assert (influence[1] != 0).all()
    assert influence[2, 0] != 0
    assert not influence[2, 1:].any()
    assert not influence[3].any()


@pytest.mark.parametrize("representation", ["embedding", "one_hot", "scalar"])
@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_an_export_has_no_operation_but_those_that_are_allowed(
    written, representation, dtype, tmp_path
):
    """In all its signatures: what refuses other models must not refuse ours."""
    config = Settings(
        data=(),
        output="",
        representation=representation,
        units=(4, 3),
        embedding_dim=2,
        dropout=0.5,
    )
    with dtype_policy(dtype):
        model = exported_model(written.manifest, config)
    classifier = TextClassifier(
        TextEncoder(written), model, representation, written.manifest, new_reference(written)
    )
    tf.saved_model.save(classifier, str(tmp_path / "model"), classifier.signatures())
    check_graph((tmp_path / "model" / "saved_model.pb").read_bytes(), "model")
    model.save(tmp_path / "model.keras")
    assert load_keras_model(str(tmp_path / "model.keras"), trust_model=False).count_params() > 0


def test_a_transform_graph_that_does_more_than_compute_is_refused(dataset, tmp_path):
    graph = dataset.path("transform/transform_fn")
    original = tf.saved_model.load(graph)
    text = tf.TensorSpec([None], tf.string)

    class Stealing(tf.Module):
        def __init__(self):
            super().__init__()
            self.original = original

        @tf.function(input_signature=[{"sequence": text, "label": text}])
        def transform_fn(self, inputs):
            with tf.control_dependencies([tf.io.write_file(str(tmp_path / "stolen"), "secret")]):
                return self.original.transform_fn(inputs)

    tf.saved_model.save(Stealing(), f"{graph}-new")
    shutil.rmtree(graph)
    os.rename(f"{graph}-new", graph)
    with pytest.raises(DataError, match=r"transform_fn: operation WriteFile in function .*trust"):
        TextEncoder(dataset)
    assert not (tmp_path / "stolen").exists()
    TextEncoder(dataset, trust_model=True)
    assert (tmp_path / "stolen").read_text() == "secret"


def test_an_export_without_validation_rows_has_five_signatures(written, tmp_path):
    begin_run(str(tmp_path), {"options": {"units": [4]}})
    classifier, model = new_classifier(written)
    for _ in range(2):  # The second: after a run was killed before it was complete.
        export(str(tmp_path), model, TextEncoder(written), "embedding", written)
    saved = tmp_path / "saved_model"
    signatures = tf.saved_model.load(str(saved)).signatures
    assert sorted(signatures) == ["classify_ids", "encode", "explain", "serving_default", "top_k"]
    texts = tf.constant(["AC?", "CBA"])
    best = signatures["top_k"](sequence=texts, k=tf.constant(1))
    np.testing.assert_array_equal(best["labels"][:, 0], classifier.classify(texts)["label"])
    manifest_file = written.path("dataset.json")
    with open(manifest_file, "rb") as file:
        assert (saved / "assets" / "dataset.json").read_bytes() == file.read()
    run = json.loads((saved / "assets" / "run.json").read_text())
    assert run == {"format_version": 1, "options": {"units": [4]}}


def test_an_export_with_validation_scores_answers_with_sets(written, tmp_path):
    begin_run(str(tmp_path), {})
    _, model = new_classifier(written)
    export(
        str(tmp_path),
        model,
        TextEncoder(written),
        "embedding",
        written,
        new_reference(written),
    )
    signatures = tf.saved_model.load(str(tmp_path / "saved_model")).signatures
    assert sorted(signatures) == [
        *("classify_ids", "encode", "explain", "predict_set", "predict_set_adaptive"),
        *("serving_default", "strangeness_ids", "top_k"),
    ]
    texts = tf.constant(["AC?", "B"])
    best = signatures["top_k"](sequence=texts, k=tf.constant(3))
    answer = signatures["predict_set"](sequence=texts, coverage=tf.constant(0.5))
    for name in ("labels", "probabilities"):
        np.testing.assert_array_equal(answer[name], best[name])
    scores = 1 - best["probabilities"].numpy()
    assert answer["size"].numpy().tolist() == np.maximum((scores <= 0.66).sum(axis=1), 1).tolist()
    adaptive = signatures["predict_set_adaptive"](sequence=texts, coverage=tf.constant(0.5))
    assert adaptive["size"].numpy().tolist() == [2, 2]
    everything = signatures["predict_set"](sequence=texts, coverage=tf.constant(0.9))
    assert everything["size"].numpy().tolist() == [3, 3]
    answer = signatures["serving_default"](sequence=tf.constant(["ABC", "CB", "???"]))
    assert answer["strangeness"].numpy().tolist() == [0, 0.5, 1]
    assert answer["surprise"].numpy()[1] == pytest.approx(1.8, abs=0.8)
    by_ids = signatures["strangeness_ids"](
        **signatures["encode"](tf.constant(["ABC", "CB", "???"]))
    )
    for name in ("surprise", "strangeness"):
        np.testing.assert_array_equal(by_ids[name], answer[name])
    assert read_calibration(str(tmp_path)) == CALIBRATION
    assert read_calibration(str(tmp_path / "saved_model" / "assets")) == CALIBRATION


def test_files_move_where_directories_cannot_be_renamed(written, tmp_path, monkeypatch):
    def rename(source, target):
        """As Cloud Storage FUSE does on a bucket without directories."""
        if os.path.isdir(source):
            raise OSError(24, "Too many open files", source)
        renamed(source, target)

    renamed = os.rename
    monkeypatch.setattr(os, "rename", rename)
    begin_run(str(tmp_path), {})
    export(str(tmp_path), new_classifier(written)[1], TextEncoder(written), "embedding", written)
    assert not (tmp_path / "saved_model.tmp").exists()
    assert (tmp_path / "saved_model" / "assets" / "dataset.json").exists()
    assert "top_k" in tf.saved_model.load(str(tmp_path / "saved_model")).signatures


def test_an_export_that_encodes_differently_is_refused(dataset, tmp_path):
    (tmp_path / "run").mkdir()
    begin_run(str(tmp_path / "run"), {})
    _, model = new_classifier(dataset)
    encoder = TextEncoder(dataset)
    change_parity(dataset, 2, ids=[1, 1, 1, 1, 1, 1])
    with pytest.raises(DataError, match=r"parity\.jsonl, line 2: ids, length and label id of"):
        export(str(tmp_path / "run"), model, encoder, "embedding", dataset)
    assert not (tmp_path / "run" / "saved_model").exists()


@pytest.mark.parametrize("signature", ["serving_default", "classify_ids"])
def test_an_export_that_predicts_differently_is_refused(written, tmp_path, signature):
    """By one signature or the other."""
    classifier, _ = new_classifier(written)
    other, _ = new_classifier(written, seed=1)
    signatures = classifier.signatures()
    signatures[signature] = other.signatures()[signature]
    classifier.other = other
    tf.saved_model.save(classifier, str(tmp_path), signatures)
    with pytest.raises(
        DataError, match=rf"line 1 of .*parity\.jsonl signature {signature} gives the probabilities"
    ):
        check_export(str(tmp_path), classifier, read_parity(written))


def test_an_export_that_is_explained_by_another_model_is_refused(written, tmp_path):
    classifier, _ = new_classifier(written)
    other, _ = new_classifier(written, seed=1)
    signatures = classifier.signatures() | {"explain": other.explain}
    classifier.other = other
    tf.saved_model.save(classifier, str(tmp_path), signatures)
    with pytest.raises(
        DataError, match=r"line 1 of .*parity\.jsonl without its character . signature explain"
    ):
        check_export(str(tmp_path), classifier, read_parity(written))

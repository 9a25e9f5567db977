"""SavedModels evaluated as a server runs them, and promoted by the real commands."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import astuple

import keras
import pytest
import tensorflow as tf

from charseq.errors import DataError
from tests.support.datasets import encode, one_hot, toy_rows, write_dataset
from tests.support.hostile_model import make_hostile
from tests.support.paths import ROOT
from trainer.__main__ import main as train_main
from trainer.data.dataset import read_dataset
from trainer.evaluate.__main__ import main as evaluate_main
from trainer.evaluate.evaluation import evaluate
from trainer.promote.__main__ import main
from trainer.promote.measurement import measure, text_decoder
from trainer.promote.registry import Pointer, Registry
from trainer.run_directory import read_run

ROWS = [("AC", "x"), ("BA", "y"), ("C?C", "z"), ("CABCABCA", "z"), ("A", "y")]


class ByFirstCharacter(tf.Module):
    """Classifies a text by its first character: `labels[i]` for `characters[i]`, else the last."""

    def __init__(self, characters, labels, certain=0.75):
        super().__init__()
        self.characters = tf.constant(list(characters))
        self.labels = tf.constant(labels)
        self.certain = certain

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="sequence")])
    def classify(self, sequence):
        first = tf.strings.substr(sequence, 0, 1)
        same = tf.cast(first[:, tf.newaxis] == self.characters, tf.float32)
        other = 1 - tf.reduce_sum(same, axis=1, keepdims=True)
        chosen = tf.concat([same, other], axis=1)
        count = tf.cast(tf.size(self.labels), tf.float32)
        return {"probabilities": chosen * self.certain + (1 - self.certain) / count}


def save(path, model, alphabet, labels, **changes):
    tf.saved_model.save(model, str(path), {"serving_default": model.classify})
    known = {"alphabet": list(alphabet), "labels": labels, "max_length": 6, **changes}
    (path / "assets" / "dataset.json").write_text(json.dumps(known))
    return str(path)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("data"), {"train": ROWS, "test": ROWS})


def test_records_are_decoded_to_text(dataset):
    texts = ["CAB", "C?", "ABCABC"]
    lengths = [len(text) for text in texts]
    ids = [encode(text) for text in texts]
    got = text_decoder(dataset.manifest)(tf.constant(ids, tf.int64), tf.constant(lengths, tf.int64))
    expected = [b"CAB", "C\ufffd".encode(), b"ABCABC"]
    assert got.numpy().tolist() == expected
    hot = tf.constant([one_hot(row) for row in ids])
    assert (
        text_decoder(dataset.manifest)(hot, tf.constant(lengths, tf.int64)).numpy().tolist()
        == expected
    )


def test_an_unknown_character_becomes_one_outside_both_alphabets(dataset):
    ids, lengths = tf.constant([encode("?")], tf.int64), tf.constant([1], tf.int64)
    got = text_decoder(dataset.manifest, ["\ufffd", "\ufffc"])(ids, lengths)
    assert got.numpy().tolist() == ["\ufffb".encode()]


@pytest.mark.parametrize("encoding", ["ids", "one_hot"])
def test_a_model_of_another_order_of_labels_and_characters_is_measured(encoding, tmp_path):
    rows = write_dataset(
        tmp_path / "data", {"train": ROWS, "test": ROWS}, encoding=encoding, shards=1
    )
    model = ByFirstCharacter("ABQ", ["x", "y", "old", "z"])
    path = save(tmp_path / "model", model, "QBA", ["x", "y", "old", "z"])
    got = measure(path, rows, "test")
    assert (got.rows, got.accuracy, got.split) == (5, 0.8, "test")
    assert [score.label for score in got.labels] == ["y", "x", "z", "old"]
    # The last of ROWS is a y that is predicted as x.
    assert astuple(got.confusion) == ((0, 0, 1, 2), (0, 1, 1, 2), (1, 1, 1, 2))


def test_a_model_that_lacks_a_label_never_predicts_it(dataset, tmp_path):
    path = save(tmp_path / "model", ByFirstCharacter("A", ["x", "y"]), "A", ["x", "y"])
    got = measure(path, dataset, "test")
    assert got.accuracy == 0.4
    assert [score.recall for score in got.labels] == [0.5, 1.0, 0.0]


def test_a_model_of_another_task_is_refused(dataset, tmp_path):
    path = save(tmp_path / "model", ByFirstCharacter("A", ["p", "q"]), "A", ["p", "q"])
    with pytest.raises(DataError, match=r"of its labels \(y, x, z\) the model gives none, it giv"):
        measure(path, dataset, "test")


def test_probabilities_that_are_not_finite_are_refused(dataset, tmp_path):
    model = ByFirstCharacter("A", ["x", "y"], certain=float("nan"))
    path = save(tmp_path / "model", model, "A", ["x", "y"])
    with pytest.raises(DataError, match="its answers are not numbers"):
        measure(path, dataset, "test")


def test_a_split_without_rows_is_refused(dataset, tmp_path):
    path = save(tmp_path / "model", ByFirstCharacter("A", ["x", "y"]), "A", ["x", "y"])
    with pytest.raises(DataError, match="its split 'validation' has no row"):
        measure(path, dataset, "validation")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    rows = toy_rows(300)
    directory = tmp_path_factory.mktemp("prepared")
    write_dataset(directory, {"train": rows[:200], "test": rows[200:]}, transform=True)
    return directory


@pytest.fixture(scope="module")
def runs(data, tmp_path_factory):
    """Two runs: one that has learned a little, and one that has learned more."""
    folder = tmp_path_factory.mktemp("runs")
    flags = "--representation embedding --units 8 --embedding-dim 4 --batch-size 16 "
    flags += "--jit-compile off --epochs 3"
    for name, rate in (("poor", "0.005"), ("good", "0.05")):
        own = ["--data", str(data), "--output", str(folder / name), "--learning-rate", rate]
        assert train_main([*own, *flags.split()]) == 0
    return folder


def test_a_saved_model_scores_as_the_model_it_was_exported_from(data, runs):
    dataset = read_dataset(str(data))
    expected = evaluate(read_run(str(runs / "good")), dataset, "test")
    got = measure(str(runs / "good" / "saved_model"), dataset, "test")
    assert got.rows == expected.rows == 100
    assert got.labels == expected.labels
    assert got.confusion == expected.confusion
    assert got.lengths == expected.lengths
    assert got.loss == pytest.approx(expected.loss, rel=1e-5)
    assert got.calibration_error == pytest.approx(expected.calibration_error, abs=1e-5)


def test_a_model_that_writes_files_is_measured_only_if_it_is_trusted(runs, data, tmp_path, capsys):
    run = shutil.copytree(runs / "good", tmp_path / "good")
    make_hostile(run / "saved_model", tmp_path / "stolen")
    command = ["--registry", str(tmp_path / "models"), "--candidate", str(run)]
    assert main(command) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"error: {run}/saved_model: operation WriteFile in function ")
    assert said.count("\n") == 1
    assert not (tmp_path / "stolen").exists()
    assert main([*command, "--trust-model"]) == 0
    assert (tmp_path / "stolen").read_text() == "secret"
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["outcome"] == "promoted"
    # The current one is loaded, too.
    better = [*command[:3], str(runs / "poor")]
    assert main(better) == 1
    assert capsys.readouterr().err.startswith(f"error: {tmp_path}/models/1: operation WriteFile")


def test_a_model_with_other_layers_is_evaluated_only_if_it_is_trusted(runs, data, tmp_path, capsys):
    run = shutil.copytree(runs / "good", tmp_path / "good")
    model = keras.saving.load_model(run / "model.keras", compile=False)
    same = keras.layers.Lambda(lambda x: x)(model.output)
    keras.Model(model.inputs, same).save(run / "model.keras")
    command = ["--model", str(run), "--data", str(data)]
    assert evaluate_main(command) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"error: {run}/model.keras: Lambda is not a layer of a model that the ")
    assert said.count("\n") == 1
    assert evaluate_main([*command, "--trust-model"]) == 0


def promotion(models, run):
    return subprocess.Popen(
        [sys.executable, "-m", "trainer.promote", "--registry", str(models), "--candidate", run],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_of_two_promotions_at_once_the_better_one_wins(runs, tmp_path, capsys):
    models = tmp_path / "models"
    registry = Registry(str(models))
    with registry.locked():
        processes = [promotion(models, str(runs / name)) for name in ("good", "poor")]
        for process in processes:
            waiting = process.stderr.readline()
            assert waiting == f"waiting for another process in {models}\n"
    answers = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    good, poor = (json.loads(out.splitlines()[-1]) for out, _ in answers)
    if poor["outcome"] == "promoted":
        assert (poor["number"], good["number"]) == (1, 2)
    else:
        assert (poor["outcome"], good["number"]) == ("not_better", 1)
    assert good["outcome"] == "promoted"
    assert registry.pointer() == Pointer(good["number"], good["number"])
    assert [err for _, err in answers] == ["", ""]
    for number in registry.numbers():
        assert main(["--registry", str(models), "--explain", str(number)]) == 0
    capsys.readouterr()


def test_a_real_run_is_promoted_and_loads_as_a_server_loads_it(runs, data, tmp_path, capsys):
    models = tmp_path / "models"
    command = ["--registry", str(models)]
    for name in ("poor", "good", "good"):
        assert main([*command, "--candidate", str(runs / name)]) == 0
    outcomes = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line[0] == "{"]
    assert [outcome["outcome"] for outcome in outcomes] == [
        "promoted",
        "promoted",
        "already_current",
    ]
    assert outcomes[1]["previous"] == outcomes[0]["candidate"] < outcomes[1]["candidate"]
    # Of the directories with a number for a name, a server loads the highest, or the one named.
    served = tf.saved_model.load(str(models / "2")).signatures
    assert sorted(served) == ["classify_ids", "encode", "explain", "serving_default", "top_k"]
    expected = tf.saved_model.load(str(runs / "good" / "saved_model")).signatures
    texts = tf.constant(["AC?", "B", "CBA"])
    for answer in ("label", "probability"):
        got = served["serving_default"](sequence=texts)[answer]
        assert got.numpy().tolist() == expected["serving_default"](texts)[answer].numpy().tolist()
    assert main([*command, "--explain", "2"]) == 0
    assert "  rows.csv  1,234 bytes  sha256:5e5e" in capsys.readouterr().out


def test_a_dataset_without_test_rows_is_measured_on_validation_rows(tmp_path, capsys):
    data, run = tmp_path / "prepared", tmp_path / "run"
    rows = toy_rows(300)
    write_dataset(data, {"train": rows[:240], "validation": rows[240:]}, transform=True)
    flags = "--representation embedding --units 4 --embedding-dim 4 --batch-size 16 "
    flags += "--jit-compile off --epochs 3 --learning-rate 0.05"
    own = ["--data", str(data), "--output", str(run)]
    assert train_main([*own, *flags.split()]) == 0
    capsys.readouterr()
    assert evaluate_main(["--model", str(run), "--data", str(data)]) == 0
    said = capsys.readouterr().out
    assert f"{data} has no test row: measured on validation rows, by which the epoch" in said
    assert json.loads((run / "evaluation-validation.json").read_text())["rows"] == 60
    assert main(["--registry", str(tmp_path / "models"), "--candidate", str(run)]) == 0
    said = capsys.readouterr().out
    assert f"note: {data} has no test row: measured on validation rows, by which" in said
    assert json.loads(said.splitlines()[-1])["outcome"] == "promoted"
    entry = json.loads((tmp_path / "models/1/assets.extra/entry.json").read_text())
    assert (entry["evaluation"]["split"], entry["evaluation"]["candidate"]["rows"]) == (
        "validation",
        60,
    )

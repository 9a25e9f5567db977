"""The commands as a user gives them, on a dataset that takes seconds."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.summary.summary_iterator import summary_iterator

from tests.support.datasets import toy_rows, write_dataset
from tests.support.paths import ROOT
from trainer.__main__ import main
from trainer.baseline.training import BaselineTraining
from trainer.data.dataset import read_dataset
from trainer.evaluate.__main__ import main as evaluate_main
from trainer.evaluate.evaluation import predict
from trainer.run_directory import read_run


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    rows = toy_rows(800)
    directory = tmp_path_factory.mktemp("prepared")
    splits = {"train": rows[:600], "validation": rows[600:700], "test": rows[700:]}
    write_dataset(directory, splits, transform=True)
    return directory


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    output = tmp_path_factory.mktemp("runs") / "first"
    flags = "--representation embedding --units 8,6 --embedding-dim 4 --epochs 4 --batch-size 16 "
    flags += "--learning-rate 0.02 --seed 3"
    assert main(["--data", str(data), "--output", str(output), *flags.split()]) == 0
    return output


KINDS = ("evaluation", "examples")


def read_json(path):
    return json.loads(path.read_text(encoding="utf-8"))


def test_a_run_leaves_its_files_and_nothing_unfinished(run):
    names = {"checkpoints", "model.keras", "saved_model", "logs", "run.json"}
    names |= {"metrics.json", "metrics.csv", "ngram_baseline.npz", "options.toml"}
    names.add("calibration.json")
    written = {path.name for path in run.iterdir()}
    evaluated = {f"{kind}-{split}.json" for kind in KINDS for split in ("test", "validation")}
    assert names == written - evaluated - {"report.html", "suspicious.jsonl", "MODEL_CARD.md"}


def test_it_learns(run):
    metrics = read_json(run / "metrics.json")
    assert [epoch["number"] for epoch in metrics["epochs"]] == [1, 2, 3, 4]
    assert metrics["final"]["validation"] == metrics["epochs"][-1]["validation"]
    assert metrics["final"]["validation"]["accuracy"] > 0.9
    assert metrics["final"]["sequences_per_second"] > 0


def test_run_json_says_how_it_was_made(run, data):
    content = read_json(run / "run.json")
    assert content["options"] == {
        "data": str(data),
        "output": str(run),
        "from_": None,
        "representation": "embedding",
        "units": [8, 6],
        "embedding_dim": 4,
        "ngram_max": 5,
        "ensemble": 1,
        "ngram_buckets": 2,
        "ngram_dropout": 0.0,
        "dropout": 0.0,
        "fold": None,
        "epochs": 4,
        "batch_size": 16,
        "learning_rate": 0.02,
        "schedule": "constant",
        "optimizer": "adam",
        "clip_norm": None,
        "class_weights": "none",
        "best_by": "loss",
        "early_stop": 0,
        "cache": "none",
        "mixed_precision": False,
        "strategy": "none",
        "replicas": 1,
        "devices": ["CPU:0"],
        "jit_compile": "on",
        "steps_per_execution": 16,
        "seed": 3,
        "trust_model": False,
        "checkpoint_every": "10m",
        "keep": 3,
        "resume": "auto",
        "overwrite": False,
    }
    assert content["dataset"]["fingerprint"] == read_json(data / "dataset.json")["fingerprint"]
    assert content["versions"]["tensorflow"] == tf.__version__


def test_the_csv_log_holds_what_metrics_json_holds(run):
    lines = [line.split(",") for line in (run / "metrics.csv").read_text().splitlines()]
    first = read_json(run / "metrics.json")["epochs"][0]
    assert len(lines) == 5
    got = dict(zip(lines[0], lines[1], strict=True))
    assert got["epoch"] == "1"
    assert float(got["train_accuracy"]) == first["train"]["accuracy"]
    assert float(got["validation_loss"]) == first["validation"]["loss"]
    assert float(got["input_wait"]) == first["input_wait"]


def test_the_model_of_the_best_epoch_is_exported(data, tmp_path, monkeypatch):
    rates = {1: 0.1, 2: 30.0}  # After the second epoch nothing is left of what was learned.
    monkeypatch.setattr(
        "trainer.training.loop.learning_rate", lambda _, position, __: rates[position.epoch]
    )
    flags = "--representation embedding --epochs 2 --batch-size 16 --optimizer sgd "
    flags += "--jit-compile off"
    arguments = ["--data", data, "--output", tmp_path / "run", *flags.split()]
    assert main([str(argument) for argument in arguments]) == 0
    metrics = read_json(tmp_path / "run" / "metrics.json")
    losses = [epoch["validation"]["loss"] for epoch in metrics["epochs"]]
    assert metrics["best_epoch"] == 1
    assert losses[0] < losses[1]
    arguments = ["--model", tmp_path / "run", "--data", data, "--split", "validation"]
    assert evaluate_main([str(argument) for argument in arguments]) == 0
    evaluation = read_json(tmp_path / "run" / "evaluation-validation.json")
    calibration = read_json(tmp_path / "run" / "calibration.json")
    assert calibration["before"]["log_loss"] == pytest.approx(losses[0], rel=1e-4)
    assert evaluation["loss"] == pytest.approx(calibration["after"]["log_loss"], rel=1e-4)


def test_tensorboard_logs_hold_what_metrics_json_holds(run):
    epochs = read_json(run / "metrics.json")["epochs"]
    for split in ("train", "validation"):
        (log,) = (run / "logs" / split).iterdir()
        logged = {
            (value.tag, event.step): tf.make_ndarray(value.tensor).item()
            for event in summary_iterator(str(log))
            for value in event.summary.value
        }
        speed = ("learning_rate", "sequences_per_second", "input_wait", "seconds")
        expected = {
            (tag, epoch["number"]): pytest.approx(value)
            for epoch in epochs
            for tag, value in (
                *epoch[split].items(),
                *((tag, epoch[tag]) for tag in speed if split == "train"),
            )
        }
        assert logged == expected


def test_evaluation_agrees_with_the_last_validation(run, data, capsys):
    arguments = ["--model", str(run), "--data", str(data), "--split", "validation"]
    assert evaluate_main(arguments) == 0
    validation = read_json(run / "metrics.json")["final"]["validation"]
    evaluation = read_json(run / "evaluation-validation.json")
    assert evaluation["rows"] == 100
    calibration = read_json(run / "calibration.json")
    assert calibration["before"]["log_loss"] == pytest.approx(validation["loss"], rel=1e-5)
    assert evaluation["loss"] == pytest.approx(calibration["after"]["log_loss"], rel=1e-5)
    assert evaluation["accuracy"] == pytest.approx(validation["accuracy"])
    assert evaluation["ngram_baseline"]["accuracy"] > 0.95
    assert sum(label["support"] for label in evaluation["labels"]) == 100
    out = capsys.readouterr().out
    assert f"{run} on validation of {data}, 100 rows: accuracy" in out
    assert f"written: {run}/evaluation-validation.json" in out
    assert out.splitlines()[-1] == f"report: {(run / 'report.html').as_uri()}"
    assert "<h2>On validation</h2>" in (run / "report.html").read_text(encoding="utf-8")
    assert [one["length"] for one in evaluation["lengths"]] == [1, 2, 3, 4, 5, 6]
    assert sum(one["rows"] for one in evaluation["lengths"]) == 100
    assert sum(one["rows"] for one in evaluation["reliability"]) == 100


def test_what_the_calibration_gives_is_measured_where_it_was_fitted_and_on_test(run, data, capsys):
    arguments = ["--model", str(run), "--data", str(data), "--split"]
    assert evaluate_main([*arguments, "validation"]) == 0
    calibration = read_json(run / "calibration.json")
    evaluation = read_json(run / "evaluation-validation.json")
    before = evaluation["uncalibrated"]
    assert before["temperature"] == calibration["temperature"] != 1
    for name, key in (("log_loss", "loss"), ("calibration_error", "calibration_error")):
        assert before[key] == pytest.approx(calibration["before"][name], abs=1e-5)
        assert evaluation[key] == pytest.approx(calibration["after"][name], abs=1e-5)
    assert [(one["method"], one["target"]) for one in evaluation["sets"]] == [
        *(("lac", 0.8), ("lac", 0.9), ("lac", 0.95)),
        *(("aps", 0.8), ("aps", 0.9), ("aps", 0.95)),
    ]
    # 101 · 0.95 is 96 of these 100 rows.
    assert evaluation["sets"][2]["coverage"] >= 0.96
    capsys.readouterr()
    assert evaluate_main([*arguments, "test"]) == 0
    (score,) = (
        one
        for one in read_json(run / "evaluation-test.json")["sets"]
        if (one["method"], one["target"]) == ("lac", 0.95)
    )
    assert sum(score["covered"]) == round(100 * score["coverage"])
    assert (
        "sets of labels at 0.95: hold the right one of "
        f"{100 * score['coverage']:.1f} % of the rows, {score['mean_size']:.2f} labels on average"
    ) in capsys.readouterr().out.splitlines()
    assert "Sets of labels" in (run / "report.html").read_text(encoding="utf-8")


def test_rows_and_ngrams_show_what_the_model_goes_by(run, data):
    assert evaluate_main(["--model", str(run), "--data", str(data)]) == 0
    examples = read_json(run / "examples-test.json")
    evaluation = read_json(run / "evaluation-test.json")
    texts = {text[:6].replace("?", "\ufffd"): label for text, label in toy_rows(800)[700:]}
    supports = {one["label"]: one["support"] for one in evaluation["labels"]}
    recalls = {one["label"]: one["recall"] for one in evaluation["labels"]}
    for one in examples["labels"]:
        label = one["label"]
        wrong = round(supports[label] * (1 - recalls[label]))
        assert len(one["wrong"]) == min(wrong, 5)
        assert len(one["right"]) == min(supports[label] - wrong, 3)
        for row in [*one["right"], *one["wrong"]]:
            assert texts[row["sequence"]] == label
            assert (row["predicted"] == label) == (row in one["right"])
        for row in one["wrong"]:
            assert len(row["influence"]) == len(row["sequence"])
    # The first character makes the label.
    by_label = {one["label"]: one["ngrams"][0] for one in examples["labels"]}
    assert (by_label["x"]["ngram"], by_label["x"]["place"]) == ("A", "begin")
    assert (by_label["y"]["ngram"], by_label["y"]["place"]) == ("B", "begin")
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "<h3>Rows and n-grams" in page


def test_the_card_of_a_model_is_written_from_what_is_in_the_run(run, data):
    assert evaluate_main(["--model", str(run), "--data", str(data)]) == 0
    evaluation = read_json(run / "evaluation-test.json")
    text = (run / "MODEL_CARD.md").read_text(encoding="utf-8")
    accuracy, loss = (f"{evaluation[name]:.4f}" for name in ("accuracy", "loss"))
    scores = text[text.index("### On test") :].partition("\n| model | ")[2].splitlines()[0]
    assert (scores.split(" | ")[0], scores.split(" | ")[-1]) == (accuracy, f"{loss} |")
    assert "| rows | train 600, validation 100, test 100 |" in text
    assert r"| rows.csv, sha256\:" in text
    assert hashlib.sha256((run / "run.json").read_bytes()).hexdigest() in text
    assert evaluate_main(["--model", str(run), "--data", str(data)]) == 0
    assert (run / "MODEL_CARD.md").read_text(encoding="utf-8") == text


def test_exported_model_answers_alone_as_evaluation_does(run, data, tmp_path):
    script = """
import json, sys
# None makes an import fail, also where the project is installed.
sys.modules.update(dict.fromkeys(("trainer", "pipeline", "tensorflow_transform", "keras")))
import tensorflow as tf
served = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
answer = served(sequence=tf.constant(json.load(sys.stdin)))
print(json.dumps([label.decode() for label in answer["label"].numpy()]))
"""
    rows = toy_rows(800)[700:]
    # One shard after the other, as the records are read.
    texts = [text for text, _ in rows[0::2] + rows[1::2]]
    answered = subprocess.run(
        [sys.executable, "-I", "-c", script, str(run / "saved_model")],
        cwd=tmp_path,
        input=json.dumps(texts),
        check=True,
        capture_output=True,
        text=True,
    )
    described = read_run(str(run))
    expected = [
        described.labels[label]
        for batch in predict(described, read_dataset(str(data)), "test")
        for label in batch.probabilities.argmax(axis=1)
    ]
    assert json.loads(answered.stdout) == expected


def test_answers_that_are_not_numbers_are_not_measured(run, data, tmp_path, capsys):
    diverged = tmp_path / "diverged"
    diverged.mkdir()
    model = keras.saving.load_model(run / "model.keras", compile=False)
    model.set_weights([weights * np.nan for weights in model.get_weights()])
    model.save(diverged / "model.keras")
    (diverged / "run.json").write_bytes((run / "run.json").read_bytes())
    assert evaluate_main(["--model", str(diverged), "--data", str(data)]) == 1
    assert "its answers are not numbers: the training diverged" in capsys.readouterr().err
    assert not (diverged / "evaluation-test.json").exists()


def test_a_model_that_learned_nothing_is_called_trivial_first(run, data, tmp_path, capsys):
    constant = tmp_path / "constant"
    constant.mkdir()
    model = keras.saving.load_model(run / "model.keras", compile=False)
    model.layers[-1].set_weights([0 * weights for weights in model.layers[-1].get_weights()])
    model.save(constant / "model.keras")
    for name in ("run.json", "metrics.json", "ngram_baseline.npz"):
        (constant / name).write_bytes((run / name).read_bytes())
    assert evaluate_main(["--model", str(constant), "--data", str(data)]) == 0
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{constant} is trivial on test: it always gives the label y: to 100 ")
    assert "; beyond chance, its loss of 1.0986 is no better than " in first
    evaluation = read_json(constant / "evaluation-test.json")
    assert f"{constant} is trivial on test: {evaluation['trivial']}" == first
    assert evaluation["baseline"]["gain_high"] < 0.1
    start = f"{constant} is no better than an n-gram baseline on test: beyond chance, its accuracy"
    assert second.startswith(start)
    assert second.endswith(evaluation["not_better"])
    assert "A trivial model" in (constant / "report.html").read_text(encoding="utf-8")
    assert evaluate_main(["--model", str(run), "--data", str(data)]) == 0
    assert "trivial" not in capsys.readouterr().out
    assert read_json(run / "evaluation-test.json")["trivial"] is None


def test_without_a_validation_split_there_is_no_validation(tmp_path, capsys):
    write_dataset(tmp_path / "data", {"train": toy_rows(8)}, transform=True)
    output = tmp_path / "run"
    flags = ["--data", str(tmp_path / "data"), "--output", str(output), "--units", "2"]
    assert main([*flags, "--epochs", "1", "--representation", "scalar"]) == 0
    assert read_json(output / "metrics.json")["final"]["validation"] is None
    out = capsys.readouterr().out
    assert "not calibrated: the dataset has no validation row\n" in out
    assert "validation loss" not in out
    assert not (output / "calibration.json").exists()
    assert evaluate_main(["--model", str(output), "--data", str(tmp_path / "data")]) == 1
    assert "its split 'test' has no row" in capsys.readouterr().err


def test_a_batch_is_cut_to_the_rows_with_a_note(tmp_path, capsys):
    rows = toy_rows(60)
    write_dataset(tmp_path / "data", {"train": rows[:50], "test": rows[50:]}, transform=True)
    flags = ["--data", str(tmp_path / "data"), "--units", "3", "--epochs", "2"]
    flags += ["--jit-compile", "off"]
    assert main([*flags, "--output", str(tmp_path / "exact"), "--batch-size", "50"]) == 0
    assert "note: " not in capsys.readouterr().err
    large = [*flags, "--output", str(tmp_path / "large"), "--batch-size", "1000000000"]
    assert main(large) == 0
    note = "note: --batch-size 1,000,000,000 is more than the train split has rows: a batch holds "
    assert capsys.readouterr().err.startswith(f"{note}all 50\n")
    content = read_json(tmp_path / "large" / "run.json")
    assert (content["options"]["batch_size"], content["asked"]["batch_size"]) == (50, 10**9)
    weights = [
        [each.tobytes() for each in keras.saving.load_model(run / "model.keras").get_weights()]
        for run in (tmp_path / "large", tmp_path / "exact")
    ]
    assert weights[0] == weights[1]
    assert main(large) == 0
    assert "is already trained" in capsys.readouterr().out


class Killed(BaseException):
    """Nothing catches it."""


def test_a_run_that_is_killed_before_its_baseline_makes_it_when_it_resumes(
    tmp_path, monkeypatch, capsys
):
    write_dataset(tmp_path / "data", {"train": toy_rows(60)}, transform=True)
    flags = ["--data", str(tmp_path / "data"), "--units", "3", "--epochs", "1"]
    flags += ["--jit-compile", "off", "--batch-size", "16"]
    assert main([*flags, "--output", str(tmp_path / "whole")]) == 0
    with monkeypatch.context() as patch:
        patch.setattr(BaselineTraining, "save", Mock(side_effect=Killed))
        with pytest.raises(Killed):
            main([*flags, "--output", str(tmp_path / "killed")])
    assert not (tmp_path / "killed" / "ngram_baseline.npz").exists()
    assert main([*flags, "--output", str(tmp_path / "killed")]) == 0
    assert "going on in epoch 2" in capsys.readouterr().out
    whole, killed = (tmp_path / name / "ngram_baseline.npz" for name in ("whole", "killed"))
    assert whole.read_bytes() == killed.read_bytes()


def run_main(arguments, capsys):
    status = main([str(argument) for argument in arguments])
    # Of the rows and the options; toy rows have both faults.
    *warnings, error = capsys.readouterr().err.splitlines()
    assert all(line.startswith("warning: ") for line in warnings)
    assert error.startswith("error: ")
    return status, error


def test_bad_input_gets_one_sentence_and_its_status(data, run, tmp_path, capsys):
    new = tmp_path / "new"
    status, error = run_main(["--data", tmp_path, "--output", new], capsys)
    assert (status, "holds no dataset.json" in error) == (1, True)
    status, error = run_main(["--data", data, "--output", run], capsys)
    assert (
        status,
        "already holds a run, but not this one: --representation embedding, now" in error,
    ) == (1, True)
    status, error = run_main(["--data", data, "--output", new, "--epochs", "0"], capsys)
    assert (status, "--epochs: got 0" in error) == (2, True)
    write_dataset(tmp_path / "hot", {"train": toy_rows(4)}, encoding="one_hot")
    flags = ["--data", tmp_path / "hot", "--output", new, "--representation", "scalar"]
    status, error = run_main(flags, capsys)
    assert (status, "expected 'one_hot'" in error) == (1, True)
    assert not new.exists()


def test_a_shard_corrupted_after_the_run_began(data, run, tmp_path, capsys):
    dataset = write_dataset(
        tmp_path / "data", {"train": toy_rows(8), "test": toy_rows(8)}, transform=True
    )
    for shard in dataset.manifest.shards:
        path = Path(dataset.path(shard.path))
        content = bytearray(path.read_bytes())
        content[40] ^= 0xFF
        path.write_bytes(content)
    output = tmp_path / "run"
    status, error = run_main(
        ["--data", dataset.directory, "--output", output, "--batch-size", 8], capsys
    )
    assert (status, "record 1: corrupted, prepare" in error) == (1, True)
    assert not (output / "run.json").exists()
    assert evaluate_main(["--model", str(run), "--data", dataset.directory]) == 1
    assert "record 1: corrupted, prepare" in capsys.readouterr().err


def test_evaluating_on_another_dataset_says_so(run, data, tmp_path, capsys):
    rows = toy_rows(20, seed=1)
    write_dataset(tmp_path, {"train": rows, "test": rows})
    content = read_json(tmp_path / "dataset.json")
    (tmp_path / "dataset.json").write_text(json.dumps({**content, "fingerprint": "other"}))
    for directory, said in ((tmp_path, True), (data, False)):
        assert evaluate_main(["--model", str(run), "--data", str(directory)]) == 0
        note = f"{directory} is not the dataset that {run} was trained on"
        assert (note in capsys.readouterr().out) == said


def test_evaluate_refuses_a_directory_that_is_no_run(data, tmp_path, capsys):
    assert evaluate_main(["--model", str(tmp_path), "--data", str(data)]) == 1
    assert "holds no run.json" in capsys.readouterr().err


KERAS_SETTINGS = {"floatx": "float16", "epsilon": 0.5, "image_data_format": "channels_first"}


@pytest.mark.parametrize("backend", ["jax", "no such backend"])
def test_settings_of_keras_for_other_projects_change_nothing(run, data, tmp_path, backend):
    """In a process of its own: Keras reads them when it is imported."""
    script = """
import sys
from trainer.evaluate.__main__ import main as evaluate
from trainer.promote.__main__ import main as promote
status = {"evaluate": evaluate, "promote": promote}[sys.argv[1]](sys.argv[2:])
import keras
print(keras.config.backend(), keras.config.floatx(), keras.config.epsilon(),
      keras.config.image_data_format(), keras.config.dtype_policy().name)
sys.exit(status)
"""
    home = tmp_path / "keras"
    home.mkdir()
    (home / "keras.json").write_text(json.dumps({**KERAS_SETTINGS, "backend": "torch"}))
    environment = {**os.environ, "KERAS_BACKEND": backend, "KERAS_HOME": str(home)}
    environment.pop("TF_USE_LEGACY_KERAS", None)
    flags = ["--registry", str(tmp_path / "models"), "--candidate", str(run)]
    command = ["promote", *flags] if backend == "jax" else ["evaluate", "--model", str(run)]
    finished = subprocess.run(
        [sys.executable, "-c", script, *command, "--data", str(data)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stderr
    settings = finished.stdout.splitlines()[-1]
    assert settings == "tensorflow float32 1e-07 channels_last float32"


def test_help_imports_nothing_heavy():
    script = """
import sys
import trainer.__main__, trainer.evaluate.__main__
for command in (trainer.__main__.main, trainer.evaluate.__main__.main):
    try:
        command(["--help"])
    except SystemExit as exit:
        assert exit.code == 0
assert not {"tensorflow", "keras"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True)


def test_training_imports_neither_beam_nor_transform_nor_the_pipeline(data, tmp_path):
    script = """
import importlib, pkgutil, sys
import trainer
from trainer.__main__ import main
assert main(sys.argv[1:]) == 0
for module in pkgutil.walk_packages(trainer.__path__, "trainer."):
    importlib.import_module(module.name)
strangers = {"apache_beam", "tensorflow_transform", "pipeline", "tf_keras"}
print(sorted(strangers & set(sys.modules)))
"""
    flags = ["--data", str(data), "--output", str(tmp_path / "run"), "--units", "2"]
    # The pipeline's own tests import TensorFlow Transform, which sets this for their process.
    environment = {k: v for k, v in os.environ.items() if k != "TF_USE_LEGACY_KERAS"}
    finished = subprocess.run(
        [sys.executable, "-c", script, *flags, "--epochs", "1", "--batch-size", "64"],
        cwd=ROOT,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    assert finished.stdout.splitlines()[-1] == "[]"
    # Only the run itself speaks: no wall of warnings of others.
    assert all(line.startswith("warning: ") for line in finished.stderr.splitlines())
    for flag in ("--alphabet-size", "--max-length", "--epochs or a smaller --batch-size"):
        assert finished.stderr.count(flag) == 1

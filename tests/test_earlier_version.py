"""What version 0.1.0 wrote is still read: a dataset, a run, an unfinished run and a registry."""

from __future__ import annotations

import csv
import json
import shutil
import tarfile
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from charseq.ask.__main__ import main as ask
from pipeline.__main__ import main as prepare
from pipeline.inspect import main as inspect
from pipeline.predict.__main__ import main as predict
from tests.support.paths import ROOT
from trainer.__main__ import main as train
from trainer.evaluate.__main__ import main as evaluate
from trainer.promote.__main__ import main as promote

ARCHIVE = ROOT / "tests" / "earlier" / "0.1.0.tar.gz"
UNFINISHED = (
    "--representation embedding --units 3 --embedding-dim 2 --epochs 3 --batch-size 16 --keep 1"
)


@pytest.fixture
def earlier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of version 0.1.0: rows.csv, dataset, run, unfinished, registry."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_dataset_passes_verification(earlier: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert inspect(["dataset", "--verify"]) == 0
    assert "dataset: 84 records and all files are as the manifest says" in capsys.readouterr().out


def test_a_dataset_is_replaced_and_only_its_files(earlier: Path) -> None:
    (earlier / "dataset" / "notes.txt").write_text("mine")
    staging = earlier / "dataset" / ".staging"
    staging.mkdir()
    # As its killed preparation leaves it.
    for name in ("started", "shard-1"):
        (staging / name).touch()
    flags = "--input rows.csv --output dataset --max-length 6 --seed 5 --overwrite"
    assert prepare(flags.split()) == 0
    assert inspect(["dataset", "--verify"]) == 0
    assert (earlier / "dataset" / "notes.txt").read_text() == "mine"
    assert not staging.exists()


def test_moves_that_a_killed_preparation_began_are_refused(
    earlier: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = earlier / "new" / ".staging" / "moves.json"
    journal.parent.mkdir(parents=True)
    journal.write_text('[["new/.staging/shard-1", "train/part-00000-of-00001.tfrecord"]]')
    assert prepare(["--input", "rows.csv", "--output", "new", "--max-length", "6"]) == 1
    error = capsys.readouterr().err
    assert "new/.staging/moves.json: no journal of this version" in error
    assert "Remove new, or choose another --output" in error


def test_an_unfinished_run_resumes_and_ends_with_the_same_weights(earlier: Path) -> None:
    """Its checkpoints hold the variables as arr_0, arr_1, …, in order.

    Up to rounding: since then sums are added in an order that does not depend on the replicas.
    """
    flags = f"--data dataset {UNFINISHED} --steps-per-execution 2 --output"
    assert train([*flags.split(), "unfinished", "--resume", "must"]) == 0
    assert train([*flags.split(), "uninterrupted"]) == 0
    models = [
        keras.saving.load_model(f"{name}/model.keras", compile=False).get_weights()
        for name in ("unfinished", "uninterrupted")
    ]
    for got, expected in zip(*models, strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-4)


def test_a_run_is_evaluated_beside_its_earlier_evaluation(
    earlier: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """evaluation-test.json names the predicted label `given`; the report shows both splits.

    The run has no n-gram baseline, so there are no figures of one.
    """
    assert "given" in json.loads((earlier / "run/evaluation-test.json").read_text())["confusion"]
    assert evaluate(["--model", "run", "--data", "dataset", "--split", "validation"]) == 0
    assert "n-gram baseline             –         –       –" in capsys.readouterr().out
    report = (earlier / "run" / "report.html").read_text()
    assert "On test" in report
    assert "On validation" in report


def test_an_exported_model_predicts(earlier: Path) -> None:
    """By its signature from text; it has none from ids."""
    flags = "--model run/saved_model --input rows.csv --output labelled"
    assert predict(flags.split()) == 0
    lines = "".join(p.read_text() for p in sorted((earlier / "labelled/predictions").iterdir()))
    rows = [json.loads(line) for line in lines.splitlines()]
    with open("rows.csv", encoding="utf-8", newline="") as file:
        texts = [row["sequence"] for row in csv.DictReader(file) if row["sequence"]]
    signatures = tf.saved_model.load("run/saved_model").signatures
    assert sorted(signatures) == ["encode", "serving_default", "top_k"]
    outputs = signatures["serving_default"](sequence=tf.constant(texts))
    assert [row["label"].encode() for row in rows] == outputs["label"].numpy().tolist()
    np.testing.assert_array_equal(
        np.array([row["probability"] for row in rows], np.float32), outputs["probability"]
    )


def test_a_registry_takes_the_next_model(earlier: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert promote(["--registry", "registry", "--explain", "1"]) == 0
    assert promote(["--registry", "registry", "--candidate", "run"]) == 0
    assert '"outcome": "already_current"' in capsys.readouterr().out
    shutil.rmtree("run")
    assert train(f"--data dataset --output run {UNFINISHED} --learning-rate 0.1".split()) == 0
    next_one = ["--registry", "registry", "--candidate", "run", "--metric", "loss"]
    assert promote([*next_one, "--allow-trivial"]) == 0
    assert '"previous": 0.' in capsys.readouterr().out
    assert ask(["--model", "registry", "--json", "--coverage", "0.5", "ABC"]) == 0
    assert {"set", "strangeness"} <= json.loads(capsys.readouterr().out).keys()
    assert promote(["--registry", "registry", "--rollback"]) == 0
    capsys.readouterr()
    assert ask(["--model", "registry", "--json", "ABC"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer.keys() == {"sequence", "label", "probability"}
    assert ask(["--model", "registry", "--json", "--coverage", "0.5", "ABC"]) == 1
    assert "was exported by an earlier version, which could not say this" in capsys.readouterr().err

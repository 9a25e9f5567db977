"""The command that exports a run to ONNX."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import tensorflow as tf

from charseq.files import sha256_of_file, write_json
from tests.support.datasets import LABELS, encode, toy_rows, write_dataset
from trainer.__main__ import main as train
from trainer.data.dataset import Dataset
from trainer.onnx.__main__ import main
from trainer.onnx.alphabet import describe_alphabet

FLAGS = "--units 4,3 --embedding-dim 2 --epochs 1 --batch-size 16 --jit-compile off"
FILES = ["alphabet.json", "encode.py", "model.onnx"]
# What a client needs: onnxruntime, and none of our packages or TensorFlow.
CLIENT = """
import json, sys
import numpy as np
import onnxruntime
from encode import encode
alphabet = json.load(open("alphabet.json", encoding="utf-8"))
session = onnxruntime.InferenceSession("model.onnx")
ids, length = encode(sys.argv[1:], alphabet)
[probabilities] = session.run(None, {"ids": np.array(ids), "length": np.array(length)})
assert not {"charseq", "trainer", "tensorflow"} & set(sys.modules), "imported"
print(json.dumps([alphabet["labels"], ids, probabilities.tolist()]))
"""


@pytest.fixture(scope="module", name="dataset")
def _dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    rows = toy_rows(60)
    splits = {"train": rows[:40], "validation": rows[40:]}
    return write_dataset(tmp_path_factory.mktemp("data"), splits, transform=True)


@pytest.fixture(scope="module", name="runs")
def _runs(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a run of each representation."""
    folder = tmp_path_factory.mktemp("runs")
    for name, flags in (
        ("embedding", "--mixed-precision"),
        ("one_hot", ""),
        ("scalar", ""),
        ("ngrams", "--ngram-buckets 64 --ensemble 3"),
    ):
        given = ["--data", dataset.directory, "--output", str(folder / name), *FLAGS.split()]
        assert train([*given, "--representation", name, *flags.split()]) == 0
    return folder


@pytest.mark.parametrize("name", ["embedding", "one_hot", "scalar", "ngrams"])
def test_a_client_without_tensorflow_answers_as_the_saved_model(
    runs: Path, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "new" / "onnx"
    assert main(["--model", str(runs / name), "--output", str(output)]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"{output}/model.onnx: ")
    assert "its probabilities of 5 rows of parity.jsonl are the model's, but for " in printed
    assert sorted(path.name for path in output.iterdir()) == FILES
    assert [path.name for path in output.parent.iterdir()] == ["onnx"]

    texts = ["AB", "CABBAC?", "A", ""]
    done = subprocess.run(
        [sys.executable, "-c", CLIENT, *texts], cwd=output, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    labels, ids, probabilities = json.loads(done.stdout)
    assert labels == list(LABELS)
    assert ids == [encode(text) for text in texts]
    model = tf.saved_model.load(str(runs / name / "saved_model"))
    answer = model.signatures["serving_default"](tf.constant(texts))["probabilities"]
    np.testing.assert_allclose(probabilities, answer, rtol=0, atol=1e-5)


def test_a_run_from_elsewhere_needs_to_know_where_its_dataset_is(
    runs: Path, dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    for path in ("model.keras", "saved_model/assets/dataset.json"):
        (run / path).parent.mkdir(parents=True, exist_ok=True)
        (run / path).write_bytes((runs / "scalar" / path).read_bytes())
    content = json.loads((runs / "scalar" / "run.json").read_text())
    content["options"]["data"] = str(tmp_path / "gone")
    write_json(str(run / "run.json"), content)
    flags = ["--model", str(run), "--output", str(tmp_path / "onnx")]
    assert main(flags) == 1
    assert capsys.readouterr().err == (
        f"error: {tmp_path}/gone: no such directory; {run} was trained on it, and its rows check "
        "the export: say with --data where it is now\n"
    )
    assert main([*flags, "--data", dataset.directory]) == 0
    metadata = {
        each.key: each.value for each in onnx.load(tmp_path / "onnx" / "model.onnx").metadata_props
    }
    assert metadata == {
        "labels": '["y", "x", "z"]',
        "alphabet": "alphabet.json",
        "run_json_sha256": sha256_of_file(str(run / "run.json")),
        "dataset_fingerprint": dataset.manifest.fingerprint,
    }


def test_an_export_that_answers_otherwise_is_refused(
    runs: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Here with the gates in the order of Keras."""
    monkeypatch.setattr("trainer.onnx.lstm.order_gates", lambda weights: weights)
    output = tmp_path / "onnx"
    assert main(["--model", str(runs / "scalar"), "--output", str(output)]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"error: {output}.tmp/model.onnx: for line 1 of ")
    assert "parity.jsonl onnxruntime gives the probability 0." in error
    assert error.endswith(" within 1e-05: this is not to be used\n")
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_an_export_that_encodes_otherwise_is_refused(
    runs: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "trainer.onnx.export.describe_alphabet",
        lambda manifest: {**describe_alphabet(manifest), "unknown_id": manifest.unknown_id - 1},
    )
    assert main(["--model", str(runs / "scalar"), "--output", str(tmp_path / "onnx")]) == 1
    assert "parity.jsonl, line 1: ids, length and label id of" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_export_left_is_replaced(runs: Path, tmp_path: Path) -> None:
    left = tmp_path / "onnx.tmp"
    left.mkdir()
    for name in ("model.onnx", "encode.py.tmp"):
        (left / name).write_text("cut off")
    assert main(["--model", str(runs / "scalar"), "--output", str(tmp_path / "onnx")]) == 0
    assert sorted(path.name for path in (tmp_path / "onnx").iterdir()) == FILES
    assert [path.name for path in tmp_path.iterdir()] == ["onnx"]


@pytest.mark.parametrize("place", ["onnx", "onnx.tmp"])
def test_files_of_others_stay(
    runs: Path, place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / place).mkdir()
    (tmp_path / place / "notes.txt").write_text("mine")
    assert main(["--model", str(runs / "scalar"), "--output", str(tmp_path / "onnx")]) == 1
    assert capsys.readouterr().err == (
        f"error: {tmp_path}/{place}: exists and holds notes.txt; remove it, or choose another "
        "--output\n"
    )
    assert [path.name for path in tmp_path.rglob("*")] == [place, "notes.txt"]


def test_a_saved_model_is_refused(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, output = runs / "scalar" / "saved_model", str(tmp_path / "onnx")
    assert main(["--model", str(model), "--output", output]) == 1
    assert capsys.readouterr().err == (
        f"error: {model}: a SavedModel, of which no other format can be made: give the run that "
        "it was exported from\n"
    )
    version = tmp_path / "1"
    (version / "assets.extra").mkdir(parents=True)
    (version / "saved_model.pb").write_bytes(b"")
    (version / "assets.extra" / "entry.json").write_text('{"run": {"directory": "runs/first"}}')
    assert main(["--model", str(version), "--output", output]) == 1
    assert capsys.readouterr().err.endswith("give the run runs/first\n")


@pytest.mark.parametrize("library", ["onnx", "onnxruntime"])
def test_a_missing_library_is_named(
    runs: Path,
    library: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    assert main(["--model", str(runs / "scalar"), "--output", str(tmp_path / "onnx")]) == 1
    assert capsys.readouterr().err == (
        f"error: --format onnx needs {library}: pip install 'charseq[onnx]'\n"
    )

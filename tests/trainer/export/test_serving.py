"""The exported model as TensorFlow Serving would load it, and `pipeline.predict` on it.

TensorFlow Serving itself is not among what can be installed here; a small server of the tests
answers its documented requests over the same signatures.
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st

from charseq.models.probabilities import find_probabilities
from pipeline.predict.__main__ import main as predict
from pipeline.predict.model import read_model
from tests.support.datasets import LABELS, toy_rows, write_dataset
from tests.support.model_server import ModelServer
from trainer.export.saved_model import export
from trainer.export.serving_model import TextEncoder
from trainer.replacement import begin_run
from trainer.settings import Settings
from trainer.training.build import exported_model

CLI = Path(sys.executable).with_name("saved_model_cli")
TEXTS = ["AC?", "B", "CBACBACBA"]


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry directory with version 9, which nothing could load, and version 10."""
    folder = tmp_path_factory.mktemp("serving")
    dataset = write_dataset(folder / "data", {"train": toy_rows(9)}, transform=True)
    keras.utils.set_random_seed(0)
    model = exported_model(dataset.manifest, Settings(data=(), output="", units=(4, 3)))
    (folder / "run").mkdir()
    begin_run(str(folder / "run"), {})
    export(str(folder / "run"), model, TextEncoder(dataset), "embedding", dataset)
    shutil.copytree(folder / "run" / "saved_model", folder / "registry" / "10")
    (folder / "registry" / "9").mkdir()
    return folder / "registry"


@pytest.fixture(scope="module", name="model")
def _model(registry: Path) -> tf.Module:
    return tf.saved_model.load(str(registry / "10"))


@pytest.fixture(scope="module")
def answers(registry: Path) -> dict[str, list[Any]]:
    """The outputs of the signature for TEXTS."""
    ask = tf.saved_model.load(str(registry / "10")).signatures["serving_default"]
    outputs = {name: value.numpy() for name, value in ask(sequence=tf.constant(TEXTS)).items()}
    return {**outputs, "label": [label.decode() for label in outputs["label"]]}


@pytest.fixture(scope="module")
def url(registry: Path) -> Iterator[str]:
    server = ModelServer(registry, "charseq")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1/models/charseq"
    server.shutdown()
    thread.join()
    server.server_close()


def ask(url: str, request: dict[str, Any] | bytes | None = None) -> Any:
    body = json.dumps(request).encode() if isinstance(request, dict) else request
    with urllib.request.urlopen(urllib.request.Request(url, body), timeout=60) as response:
        return json.load(response)


def refused(url: str, request: dict[str, Any] | bytes) -> tuple[int, str]:
    with pytest.raises(urllib.error.HTTPError) as caught:
        ask(url, request)
    with caught.value as response:
        return response.code, json.load(response)["error"]


def test_a_request_of_rows_gets_rows(url: str, answers: dict[str, list[Any]]) -> None:
    assert ask(url)["model_version_status"][0]["version"] == "10"
    for instances in (
        TEXTS,
        [{"sequence": text} for text in TEXTS],
        [{"b64": base64.b64encode(text.encode()).decode()} for text in TEXTS],
    ):
        rows = ask(f"{url}:predict", {"instances": instances})["predictions"]
        assert [row["label"] for row in rows] == answers["label"]
        for name in ("probability", "probabilities"):
            np.testing.assert_allclose([row[name] for row in rows], answers[name], 1e-6)


def test_a_request_of_columns_gets_columns(url: str, answers: dict[str, list[Any]]) -> None:
    for inputs in (TEXTS, {"sequence": TEXTS}):
        columns = ask(f"{url}/versions/10:predict", {"inputs": inputs})["outputs"]
        assert columns["label"] == answers["label"]
        np.testing.assert_allclose(columns["probabilities"], answers["probabilities"], 1e-6)


def test_other_signatures_are_selected_by_name(url: str, answers: dict[str, list[Any]]) -> None:
    request = {"signature_name": "top_k", "inputs": {"sequence": TEXTS, "k": 2}}
    best = ask(f"{url}:predict", request)["outputs"]
    order = np.argsort(-np.array(answers["probabilities"]))[:, :2]
    assert best["labels"] == np.array(LABELS)[order].tolist()
    encoded = ask(f"{url}:predict", {"signature_name": "encode", "instances": ["AC?"]})
    assert encoded == {"predictions": [{"ids": [1, 3, 5, 0, 0, 0], "length": 3}]}


@settings(max_examples=40, deadline=None)
@example([b"ACB", b"\xfc", "é".encode()])
@given(texts=st.lists(st.binary(max_size=9), min_size=1, max_size=4))
def test_any_bytes_are_answered_and_alike_beside_any_others(
    model: tf.Module, texts: list[bytes]
) -> None:
    classify, top_k, encode = (
        model.signatures[name] for name in ("serving_default", "top_k", "encode")
    )
    together = [each(tf.constant(texts)) for each in (classify, encode)]
    best = top_k(sequence=tf.constant(texts), k=tf.constant(2))
    for row, text in enumerate(texts):
        alone = [each(tf.constant([text])) for each in (classify, encode)]
        for of_row, of_all in zip(alone, together, strict=True):
            assert of_row.keys() == of_all.keys()
        probabilities = alone[0]["probabilities"][0]
        np.testing.assert_allclose(together[0]["probabilities"][row], probabilities, atol=1e-6)
        np.testing.assert_array_equal(together[1]["ids"][row], alone[1]["ids"][0])
        np.testing.assert_allclose(
            best["probabilities"][row], np.sort(probabilities)[::-1][:2], atol=1e-6
        )


def test_malformed_requests_are_refused(url: str) -> None:
    predict_url = f"{url}:predict"
    assert refused(predict_url, {"instances": ["A"], "inputs": ["A"]})[0] == 400
    assert refused(predict_url, b"{")[0] == 400
    status, error = refused(predict_url, {"signature_name": "other", "instances": ["A"]})
    assert (status, error) == (400, 'Serving signature name: "other" not found in signature def')
    # In rows, each input needs a value for each row, and k is one number for all of them.
    rows = [{"sequence": "A", "k": 1}, {"sequence": "B", "k": 1}]
    assert refused(predict_url, {"signature_name": "top_k", "instances": rows})[0] == 400
    status, error = refused(predict_url.replace("charseq", "half"), {"instances": ["A"]})
    assert (status, error) == (404, "Servable not found for request: Latest(half)")


def run_cli(*argv: str) -> str:
    done = subprocess.run(
        [str(CLI), *argv], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_saved_model_cli_shows_and_runs_it(registry: Path, answers: dict[str, list[Any]]) -> None:
    shown = run_cli("show", "--dir", str(registry / "10"), "--all")
    for signature in ("serving_default", "top_k", "encode", "classify_ids", "explain"):
        assert f"signature_def['{signature}']" in shown
    default = shown.split("signature_def['serving_default']")[1].split("Method name is:")[0]
    assert (
        "inputs['sequence'] tensor_info:\n        dtype: DT_STRING\n        shape: (-1)" in default
    )
    for name, dtype in (("label", "STRING"), ("probability", "FLOAT"), ("probabilities", "FLOAT")):
        assert f"outputs['{name}'] tensor_info:\n        dtype: DT_{dtype}" in default
    ran = run_cli(
        "run",
        "--dir",
        str(registry / "10"),
        "--tag_set",
        "serve",
        "--signature_def",
        "serving_default",
        "--input_exprs",
        f"sequence={TEXTS}",
    )
    labels = ran.split("Result for output key label:\n")[1].split("\n")[0]
    assert labels == str(np.array([label.encode() for label in answers["label"]], object))


def predict_lines(model: Path, texts: list[str], folder: Path) -> dict[str, str]:
    """Return the predictions of a file of distinct texts, as they are written."""
    folder.mkdir()
    (folder / "rows.txt").write_text("\n".join(texts))
    argv = ["--input", str(folder / "rows.txt"), "--output", str(folder / "out")]
    assert predict(["--model", str(model), *argv]) == 0
    lines = (folder / "out" / "predictions" / "part-00000-of-00001.jsonl").read_text().splitlines()
    return {text: line.partition('"label"')[2] for text, line in zip(texts, lines, strict=True)}


def test_a_row_has_the_same_bytes_in_any_batch(tmp_path: Path, registry: Path) -> None:
    texts = ["".join(text) for n in (1, 2, 3, 4, 5, 6) for text in product("ABC?", repeat=n)]
    every = predict_lines(registry / "10", texts, tmp_path / "every")
    some = predict_lines(registry / "10", texts[::-3], tmp_path / "some")
    assert len(every) == 5460
    assert some == {text: every[text] for text in some}


def test_batch_prediction_has_xla_compute_the_exported_graph(registry: Path) -> None:
    path = str(registry / "10")
    probabilities = find_probabilities(tf.saved_model.load(path), read_model(path))
    assert isinstance(probabilities, tf.types.experimental.PolymorphicFunction)


def test_batch_prediction_agrees_with_the_signature(
    tmp_path: Path, registry: Path, answers: dict[str, list[Any]]
) -> None:
    (tmp_path / "rows.txt").write_text("\n".join(TEXTS))
    argv = ["--input", str(tmp_path / "rows.txt"), "--output", str(tmp_path / "out")]
    assert predict(["--model", str(registry / "10"), *argv]) == 0
    text = (tmp_path / "out" / "predictions" / "part-00000-of-00001.jsonl").read_text()
    rows = [json.loads(line) for line in text.splitlines()]
    assert [row["label"] for row in rows] == answers["label"]
    np.testing.assert_allclose([row["probability"] for row in rows], answers["probability"], 1e-6)

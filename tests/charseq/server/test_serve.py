"""charseq serve as its users run it: promotions, rollbacks and broken versions under requests."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from charseq.process.processes import descendants
from tests.charseq.server.test_bad_requests import GOOD, mutate
from tests.support.serving import Callers, Client, Reply, Server, started, wait_for, wait_gone
from tests.support.versioned_model import (
    add_version,
    find_fault,
    make_registry,
    point,
    probabilities,
    save_versioned_model,
)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SavedModels of two versions, `1` and `2`."""
    folder = tmp_path_factory.mktemp("models")
    for version in (1, 2):
        save_versioned_model(folder / str(version), version)
    return folder


@pytest.fixture
def registry(models: Path, tmp_path: Path) -> Path:
    """A registry whose current version is 1."""
    return make_registry(tmp_path / "registry", models / "1")


def fault_of(text: str, reply: Reply) -> str:
    return find_fault(text, reply.status, reply.headers.get("x-model-version", ""), reply.body)


def test_versions_come_go_and_fail_under_requests(
    models: Path, registry: Path, tmp_path: Path
) -> None:
    with started(registry, tmp_path) as server:
        server.wait_until_serving()
        with Callers(server, 4, fault_of) as callers:
            promote_roll_back_and_break(server, models, registry)
        assert callers.faults == []
        assert set(callers.answered) == {1, 2}
        assert callers.answered.total() > 100
        check_outputs(server.client(), registry / "1")
        check_mutated_bodies(server.client())
        check_that_the_model_is_started_again(server)
        check_that_requests_under_way_are_answered(server)


def promote_roll_back_and_break(server: Server, models: Path, registry: Path) -> None:
    client = server.client()
    add_version(registry, 2, models / "2")
    point(registry, 2)
    server.wait_for_event("serving", 2)
    assert client.predict("abc").version == 2
    server.wait_for_event("ended", 1)
    assert len([*descendants(server.process.pid)]) == 1  # Its memory is free.
    assert client.request("POST", "/v1/models/charseq/versions/1:predict", b"{}").status == 404
    break_versions(server, models, registry)
    point(registry, 1)
    wait_for(lambda: server.events().count(("serving", 1)) == 2, 60, server.process)
    assert client.predict("abc").version == 1
    states = client.request("GET", "/v1/models/charseq").json["model_version_status"]
    assert [(state["version"], state["state"]) for state in states] == [
        ("4", "END"),
        ("3", "END"),
        ("2", "UNLOADING" if states[2]["state"] == "UNLOADING" else "END"),
        ("1", "AVAILABLE"),
    ]
    page = client.request("GET", "/metrics").body.decode()
    assert 'charseq_version_loads_total{outcome="refused"} 2.0' in page
    assert 'charseq_version_loads_total{outcome="loaded"} 3.0' in page
    assert "charseq_model_version 1.0" in page


def break_versions(server: Server, models: Path, registry: Path) -> None:
    """Make versions current that cannot be served: of other files, and with an operation."""
    add_version(registry, 3, models / "1")
    with (registry / "3" / "saved_model.pb").open("r+b") as file:
        file.truncate(5000)
    point(registry, 3)
    server.wait_for_event("refused", 3)

    class Hostile(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
        def classify(self, sequence: tf.Tensor) -> dict[str, tf.Tensor]:
            tf.io.write_file(str(registry / "written"), "by a model")
            return {"label": sequence, "probability": tf.ones(tf.shape(sequence))}

    hostile = Hostile()
    tf.saved_model.save(hostile, str(registry / "4"), {"serving_default": hostile.classify})
    shutil.copy(models / "1" / "assets" / "dataset.json", registry / "4" / "assets")
    point(registry, 4)
    server.wait_for_event("refused", 4)
    reasons = [line["message"] for line in server.log() if line.get("event") == "refused"]
    assert "saved_model.pb: has SHA-256" in reasons[0]
    assert "operation WriteFile" in reasons[1]
    assert not (registry / "written").exists()
    assert server.client().predict("abc").version == 2


def check_outputs(client: Client, directory: Path) -> None:
    """Check that the signatures of the SavedModel and ours answer within 0.00001."""
    signatures = tf.saved_model.load(str(directory)).signatures
    texts = ["abc", "", "hhhhhh", "aZb", "a\0b", "bé", "abcdefgh"] * 40
    inputs: dict[str, dict[str, Any]] = {
        "serving_default": {"sequence": texts},
        "encode": {"sequence": texts},
        "explain": {"sequence": texts},
        "top_k": {"sequence": texts, "k": 2},
        "predict_set": {"sequence": texts, "coverage": 0.95},
        "classify_ids": {"ids": [[1, 2, 3, 0], [9, 0, 0, 0]], "length": [3, 1]},
    }
    for name, columns in inputs.items():
        body = {"signature_name": name, "inputs": columns}
        reply = client.request("POST", "/v1/models/charseq:predict", body)
        specs = signatures[name].structured_input_signature[1]
        expected = signatures[name](
            **{key: tf.constant(value, specs[key].dtype) for key, value in columns.items()}
        )
        outputs = reply.json["outputs"]
        for key, value in expected.items():
            got = outputs if len(expected) == 1 else outputs[key]
            if value.dtype == tf.string:
                assert np.array(got, object).astype("S").tolist() == (
                    value.numpy().astype("S").tolist()
                )
            else:
                np.testing.assert_allclose(got, value.numpy(), rtol=0, atol=1e-5)
    asked = {"sequences": ["abc", " ", "cé"], "influence": True, "coverage": 0.95}
    first, blank, last = client.request("POST", "/ask", asked).json
    assert first["influence"] == [0.25, 0.5, 0.75]
    assert len(first["set"]) == 2
    assert blank == {"sequence": " ", "rejected": "empty_sequence"}
    assert last["probability"] == pytest.approx(max(probabilities("cé", 1)), abs=2e-6)
    failing = client.predict("abc", "fail")
    assert failing.status == 400
    assert "no such sequence, please" in failing.json["error"]


def check_mutated_bodies(client: Client) -> None:
    chance = random.Random(1)
    for _ in range(300):
        path = chance.choice(["/v1/models/charseq:predict", "/ask"])
        body = mutate(chance.choice(GOOD), chance)
        assert client.request("POST", path, body).status in (200, 400, 413), body


def check_that_the_model_is_started_again(server: Server) -> None:
    (model,) = descendants(server.process.pid)
    os.kill(model, signal.SIGKILL)
    client = server.client()
    wait_for(lambda: ("lost", 1) in server.events(), 30, server.process)
    reply = client.predict("abc")
    assert (reply.status, reply.headers["retry-after"]) == (503, "1")
    wait_for(lambda: client.predict("abc").status == 200, 60, server.process)


def check_that_requests_under_way_are_answered(server: Server) -> None:
    replies = []
    client = server.client()
    thread = threading.Thread(target=lambda: replies.append(client.predict("abc")))
    (model,) = descendants(server.process.pid)
    os.kill(model, signal.SIGSTOP)
    thread.start()
    time.sleep(0.3)  # It has arrived.
    server.process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    with pytest.raises(ConnectionRefusedError):
        server.client().predict("abc")
    os.kill(model, signal.SIGCONT)
    assert server.process.wait(60) == 143
    thread.join()
    assert [reply.status for reply in replies] == [200]
    assert server.errors.splitlines()[1:] == ["terminated"]
    wait_gone([model])


SLOW_BODY = (
    b"POST /ask HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer 0123456789abcdef\r\n"
    b"Content-Length: 9\r\n\r\n{"
)


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[str, str]:
    """A certificate for localhost that signs itself, and its key."""
    certificate, key = str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    subprocess.run(
        [
            *command.split(),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
            *("-keyout", key, "-out", certificate),
        ],
        check=True,
        capture_output=True,
    )
    return certificate, key


def test_tls_token_limits_and_slow_clients(
    registry: Path, tmp_path: Path, certificate: tuple[str, str]
) -> None:
    cert, key = certificate
    token = {"CHARSEQ_TOKEN": "0123456789abcdef"}
    flags = ("--tls-cert", cert, "--tls-key", key, "--timeout", "1", "--max-body-bytes", "2000")
    point(registry, 1, "words")
    with started(registry, tmp_path, *flags, environment=token) as server:
        server.wait_until_serving()
        client = server.client(ssl.create_default_context(cafile=cert))
        body, path = {"instances": ["abc"]}, "/v1/models/words:predict"
        bearer = {"Authorization": "Bearer 0123456789abcdef"}
        assert client.request("POST", path, body).status == 401
        assert client.request("POST", path, body, bearer).status == 200
        assert client.request("GET", "/readyz").status == 200
        assert client.request("POST", path, b" " * 2001, bearer).status == 413
        large = client.request("POST", path, b" " * 500_000, bearer)
        assert (large.status, large.headers["connection"]) == (413, "close")
        tls = ssl.create_default_context(cafile=cert)
        for part in (b"POST /ask HT", SLOW_BODY, b""):
            plain = socket.create_connection(("127.0.0.1", server.port), timeout=30)
            with tls.wrap_socket(plain, server_hostname="localhost") as slow:
                slow.sendall(part)
                assert slow.recv(1000).startswith(b"HTTP/1.1 408 ")
                assert slow.recv(1000) == b""
        assert server.end(signal.SIGINT) == 130
    assert server.errors.splitlines()[-1] == "interrupted"


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield taken.getsockname()[1]


def run_in_vain(registry: Path, folder: Path, *flags: str) -> tuple[int, str]:
    with started(registry, folder, *flags) as server:
        status = server.process.wait(60)
    return status, server.errors


def test_what_keeps_it_from_starting_is_said_in_a_line(
    registry: Path, tmp_path: Path, taken_port: int
) -> None:
    status, error = run_in_vain(tmp_path, tmp_path / "none")
    assert (status, error.count("\n")) == (1, 1)
    assert error.endswith("holds no models.config: not a registry, or empty\n")
    status, error = run_in_vain(registry, tmp_path / "taken", "--port", str(taken_port))
    expected = f"error: 127.0.0.1, port {taken_port}: Address already in use: choose another --port"
    assert (status, error) == (1, f"{expected}\n")
    files = ("--tls-cert", str(registry / "models.config"), "--tls-key", "/dev/null")
    status, error = run_in_vain(registry, tmp_path / "tls", *files)
    assert (status, error.count("\n")) == (1, 1)
    assert "no certificate in PEM and its key" in error
    (registry / "1" / "saved_model.pb").write_bytes(b"no model")
    status, error = run_in_vain(registry, tmp_path / "broken")
    assert (status, error.count("\n")) == (1, 1)
    assert error.startswith("error: version 1: saved_model.pb: has SHA-256 ")

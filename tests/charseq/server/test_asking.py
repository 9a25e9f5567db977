"""POST /ask and the paths around it."""

from __future__ import annotations

import pytest

from tests.support.asgi import SIGNATURES, FakeModel, InMemoryServer

pytestmark = pytest.mark.unit


def test_sequences_influence_and_coverage_reach_the_model() -> None:
    content = {"sequences": ["ab", ""], "influence": True, "coverage": 0.75}
    answer = InMemoryServer().request("POST", "/ask", content)
    wanted = {"influence": True, "coverage": 0.75}
    assert (answer.status, answer.json) == (200, [["ab", wanted], ["", wanted]])


def test_without_sequences_there_is_nothing_to_answer() -> None:
    answer = InMemoryServer().request("POST", "/ask", {"sequences": []})
    assert (answer.status, answer.json) == (200, [])


@pytest.mark.parametrize(("key", "value"), [("influence", True), ("coverage", 0.5)])
def test_what_an_earlier_model_cannot_say_is_refused(key: str, value: object) -> None:
    names = ("serving_default", "encode")
    model = FakeModel(dict.fromkeys(names, SIGNATURES["serving_default"]))
    server = InMemoryServer(model=model)
    answer = server.request("POST", "/ask", {"sequences": ["a"], key: value})
    assert answer.status == 400
    assert answer.json["error"].startswith(f"{key}: the model was exported by an earlier version")


def test_only_post_asks() -> None:
    answer = InMemoryServer().request("GET", "/ask")
    assert (answer.status, answer.headers["allow"]) == (405, "POST")


def test_every_path_is_described() -> None:
    answer = InMemoryServer().request("GET", "/openapi.json")
    described = answer.json
    assert described["openapi"].startswith("3.1")
    assert set(described["paths"]) == {
        "/",
        "/ask",
        "/card",
        "/healthz",
        "/metrics",
        "/openapi.json",
        "/readyz",
        "/v1/models/charseq",
        "/v1/models/charseq/metadata",
        "/v1/models/charseq/versions/{version}",
        "/v1/models/charseq/versions/{version}/metadata",
        "/v1/models/charseq/versions/{version}:predict",
        "/v1/models/charseq:predict",
    }
    body = described["paths"]["/ask"]["post"]["requestBody"]["content"]["application/json"]
    assert body["schema"]["properties"]["sequences"]["maxItems"] == 50
    assert body["schema"]["properties"]["sequences"]["items"]["maxLength"] == 40
    for path in set(described["paths"]) - {"/ask"}:
        if "{" not in path and not path.endswith(":predict"):
            assert InMemoryServer().request("GET", path).status == 200

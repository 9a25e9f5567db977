"""Requests that cannot be answered: each kind with its status; and none with 500."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from tests.support.asgi import InMemoryServer

pytestmark = pytest.mark.unit

PREDICT = "/v1/models/charseq:predict"


def body(**content: Any) -> bytes:
    return json.dumps(content).encode()


def ids(value: str) -> bytes:
    return b'{"signature_name": "classify_ids", "inputs": %s}' % value.encode()


KINDS = {
    # No JSON.
    "nothing": (PREDICT, b"", 400),
    "text": (PREDICT, b"ACDE", 400),
    "cut off": (PREDICT, b'{"instances": ["a"', 400),
    "two documents": (PREDICT, b'{"instances": ["a"]} {}', 400),
    "not UTF-8": (PREDICT, b'{"instances": ["\xff"]}', 400),
    "UTF-16": (PREDICT, '{"instances": ["a"]}'.encode("utf-16"), 400),
    "a lone surrogate": (PREDICT, rb'{"instances": ["\ud800"]}', 400),
    "a lone surrogate, and NaN": (PREDICT, rb'{"instances": ["\ud800"], "x": NaN}', 400),
    "single quotes": (PREDICT, b"{'instances': ['a']}", 400),
    "a comment": (PREDICT, b'{"instances": ["a"]} // one', 400),
    "a form": (PREDICT, b"instances=a", 400),
    "deeply nested": (PREDICT, b"[" * 1400 + b"]" * 1400, 400),
    "deeply nested in it": (PREDICT, b'{"instances":' + b"[" * 990 + b"]" * 990 + b"}", 400),
    "deeply nested objects, and NaN": (PREDICT, b'{"a":' * 480 + b"NaN" + b"}" * 480, 400),
    # JSON, but no request.
    "a list": (PREDICT, b"[]", 400),
    "null": (PREDICT, b"null", 400),
    "a number": (PREDICT, b"1", 400),
    "no instances": (PREDICT, b"{}", 400),
    "instances of null": (PREDICT, b'{"instances": null}', 400),
    "no rows": (PREDICT, b'{"instances": []}', 400),
    "mixed rows": (PREDICT, body(instances=["a", 1]), 400),
    "rows of lists": (PREDICT, body(instances=[["a"]]), 400),
    "one text as a column": (PREDICT, body(inputs="a"), 400),
    "a number with 5,000 digits": (
        PREDICT,
        ids(f'{{"ids": [[{"9" * 1500}]], "length": [1]}}'),
        400,
    ),
    "a number beyond 64 bits": (PREDICT, ids(f'{{"ids": [[{2**63}]], "length": [1]}}'), 400),
    "other numbers of rows": (PREDICT, ids('{"ids": [[1]], "length": [1, 1]}'), 400),
    "too few dimensions": (PREDICT, ids('{"ids": [1], "length": [1]}'), 400),
    "a list where one number is needed": (
        PREDICT,
        body(signature_name="top_k", inputs={"sequence": ["a"], "k": [1]}),
        400,
    ),
    # Beyond limits.
    "too many rows": (PREDICT, body(instances=["a"] * 51), 413),
    "a text too long": (PREDICT, body(instances=["a", "a" * 41]), 413),
    "bytes too long": (PREDICT, body(instances=[{"b64": "YWFh" * 14}]), 413),
    "too many ids": (PREDICT, ids('{"ids": [[1, 1, 1, 1, 1, 1]], "length": [1]}'), 413),
    "a body too long": (PREDICT, b" " * 3001, 413),
    # /ask.
    "ask: nothing": ("/ask", b"", 400),
    "ask: no sequences": ("/ask", b"{}", 400),
    "ask: one text": ("/ask", body(sequences="a"), 400),
    "ask: a number": ("/ask", body(sequences=["a", 1]), 400),
    "ask: null": ("/ask", body(sequences=[None]), 400),
    "ask: another key": ("/ask", body(sequences=["a"], k=1), 400),
    "ask: influence of text": ("/ask", body(sequences=["a"], influence="true"), 400),
    "ask: coverage above 1": ("/ask", body(sequences=["a"], coverage=1.5), 400),
    "ask: coverage 0": ("/ask", body(sequences=["a"], coverage=0), 400),
    "ask: coverage NaN": ("/ask", b'{"sequences": ["a"], "coverage": NaN}', 400),
    "ask: coverage true": ("/ask", body(sequences=["a"], coverage=True), 400),
    "ask: too many": ("/ask", body(sequences=["a"] * 51), 413),
    "ask: a lone surrogate": ("/ask", rb'{"sequences": ["\udc00"]}', 400),
    # Paths.
    "no path": ("/", b"", 404),
    "another path": ("/predict", b"{}", 404),
    "no model": ("/v1/models/:predict", b"{}", 400),
    "another model": ("/v1/models/other:predict", b"{}", 404),
    "another version": ("/v1/models/charseq/versions/1:predict", b"{}", 404),
    "a version that is no number": ("/v1/models/charseq/versions/x:predict", b"{}", 400),
    "another verb": ("/v1/models/charseq:explain", b"{}", 400),
    "a path above": ("/v1/models/../../etc/passwd", b"{}", 400),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_bad_request_has_its_status_and_says_why(kind: str) -> None:
    path, data, status = KINDS[kind]
    answer = InMemoryServer().request("POST", path, data)
    assert answer.status == status
    assert len(answer.json["error"]) < 1200
    assert answer.headers["content-type"] == "application/json"


def test_there_are_forty_kinds_of_bad_requests() -> None:
    assert len(KINDS) >= 40


def test_what_was_expected_is_said() -> None:
    answer = InMemoryServer().request("POST", "/ask", {"sequences": "a"})
    assert answer.json["error"].startswith(
        'sequences: got a text: expected an object as {"sequences": ["ACDEF"]'
    )


def test_a_body_is_not_read_beyond_the_limit_even_without_a_length() -> None:
    server = InMemoryServer()
    headers = {"content-length": ""}
    answer = server.request("POST", PREDICT, b" " * 9000, headers)
    assert (answer.status, answer.headers["connection"]) == (413, "close")
    answer = server.request("POST", PREDICT, b" ", {"content-length": "3001"})
    assert answer.status == 413


GOOD = [
    b'{"instances": ["ab", "c"]}',
    b'{"instances": [{"sequence": "ab"}, {"sequence": {"b64": "YWI="}}]}',
    b'{"signature_name": "top_k", "inputs": {"sequence": ["ab"], "k": 2}}',
    b'{"signature_name": "classify_ids", "inputs": {"ids": [[1, 2]], "length": [2]}}',
    b'{"signature_name": "predict_set", "inputs": {"sequence": ["ab"], "coverage": 0.5}}',
    b'{"sequences": ["ab", " "], "influence": true, "coverage": 0.9}',
    b'{"examples": [{"sequence": "a"}]}',
]
PIECES = [b"[", b"]", b"{", b"}", b'"', b",", b":", b"null", b"-1", b"NaN", b"1e999", b"\\ud800"]


def mutate(data: bytes, chance: random.Random) -> bytes:
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(data) + 1)
        to = min(len(data), at + chance.randint(0, 3))
        new = chance.choice(
            [b"", chance.randbytes(chance.randint(1, 3)), chance.choice(PIECES), data[to : to + 9]]
        )
        data = data[:at] + new + data[to:]
    return data


def test_no_mutated_body_is_an_error_of_the_server() -> None:
    chance = random.Random(0)
    paths = [PREDICT, "/ask", "/v1/models/charseq:classify"]
    requests = [
        ("POST", chance.choice(paths), mutate(chance.choice(GOOD), chance)) for _ in range(4000)
    ]
    statuses = [answer.status for answer in InMemoryServer().requests(requests)]
    assert {200, 400} <= set(statuses) <= {200, 400, 413}

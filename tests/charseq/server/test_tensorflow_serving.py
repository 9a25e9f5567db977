"""The requests and errors of TensorFlow Serving's REST interface, each with the answer of ours.

https://www.tensorflow.org/tfx/serving/api_rest; what it leaves open is that of its source.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.asgi import InMemoryServer

pytestmark = pytest.mark.unit

PREDICT = "/v1/models/charseq:predict"
AVAILABLE = {
    "version": "3",
    "state": "AVAILABLE",
    "status": {"error_code": "OK", "error_message": ""},
}
ANSWERED: list[tuple[str, str, Any, Any]] = [
    # Model status API.
    ("GET", "/v1/models/charseq", None, {"model_version_status": [AVAILABLE]}),
    ("GET", "/v1/models/charseq/versions/3", None, {"model_version_status": [AVAILABLE]}),
    # Predict API, rows: values, objects, bytes.
    (
        "POST",
        PREDICT,
        {"instances": ["ab", "b"]},
        {"predictions": [{"label": "a", "probability": 0.5}, {"label": "b", "probability": 1.0}]},
    ),
    (
        "POST",
        "/v1/models/charseq/versions/3:predict",
        {"instances": [{"sequence": "abc"}]},
        {"predictions": [{"label": "a", "probability": 0.33333334}]},
    ),
    (
        "POST",
        PREDICT,
        {"instances": [{"b64": "YWI="}, {"sequence": {"b64": "YWI="}}][:1]},
        {"predictions": [{"label": "a", "probability": 0.5}]},
    ),
    (
        "POST",
        PREDICT,
        {"instances": [{"sequence": {"b64": "YWI"}}]},
        {"predictions": [{"label": "a", "probability": 0.5}]},
    ),
    (
        "POST",
        PREDICT,
        {"signature_name": "", "instances": ["ab"]},
        {"predictions": [{"label": "a", "probability": 0.5}]},
    ),
    # A lone output has no name.
    (
        "POST",
        PREDICT,
        {"signature_name": "classify_ids", "instances": [{"ids": [1, 2], "length": 2}]},
        {"predictions": [[0.5, 1.0]]},
    ),
    (
        "POST",
        PREDICT,
        {"signature_name": "top_k", "inputs": {"sequence": ["ab"], "k": 2}},
        {"outputs": [["a", "a"]]},
    ),
    # Columns: a plain list of the only input, an object, several inputs.
    (
        "POST",
        PREDICT,
        {"inputs": ["ab"]},
        {"outputs": {"label": ["a"], "probability": [0.5]}},
    ),
    (
        "POST",
        PREDICT,
        {"inputs": {"sequence": ["ab", {"b64": "Yg=="}]}},
        {"outputs": {"label": ["a", "b"], "probability": [0.5, 1.0]}},
    ),
    (
        "POST",
        PREDICT,
        {"signature_name": "classify_ids", "inputs": {"ids": [[1], [3]], "length": [1, 1]}},
        {"outputs": [[0.5], [1.5]]},
    ),
    (
        "POST",
        PREDICT,
        {"signature_name": "predict_set", "inputs": {"sequence": ["ab"], "coverage": 1}},
        {"outputs": {"labels": [["a"]], "size": [2]}},
    ),
    # Bytes by the name of the output; booleans.
    (
        "POST",
        PREDICT,
        {"signature_name": "raw", "instances": ["ab"]},
        {"predictions": [{"b64": "YQ=="}]},
    ),
    (
        "POST",
        PREDICT,
        {"signature_name": "flags", "instances": [True, False]},
        {"predictions": [False, True]},
    ),
    (
        "POST",
        PREDICT,
        {"signature_name": "scalar", "inputs": ["ab", "c"]},
        {"outputs": {"label": ["a", "c"], "total": 3}},
    ),
    # Its paths may be written in any case.
    (
        "POST",
        "/V1/Models/charseq:Predict",
        {"instances": ["ab"]},
        {"predictions": [{"label": "a", "probability": 0.5}]},
    ),
]


@pytest.mark.parametrize(("method", "path", "body", "expected"), ANSWERED)
def test_a_documented_request_is_answered(method: str, path: str, body: Any, expected: Any) -> None:
    data = b"" if body is None else json.dumps(body).encode()
    answer = InMemoryServer().request(method, path, data)
    assert (answer.status, answer.json) == (200, expected)
    assert answer.headers["content-type"] == "application/json"


def error(body: Any, message: str, path: str = PREDICT, status: int = 400) -> tuple[Any, ...]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return ("POST", path, data, status, message)


def ids(value: Any) -> dict[str, Any]:
    return {"signature_name": "classify_ids", "inputs": {"ids": value, "length": [1]}}


FIRST = "Failed to process element: 0 key: "
ERRORS = [
    # Paths.
    ("GET", "/v1/models", b"", 400, "Missing model name in request."),
    ("GET", "/v1/models/half", b"", 404, "Could not find any versions of model half"),
    ("GET", "/v1/models/charseq/versions/7", b"", 404, "Could not find version 7 of model charseq"),
    ("GET", "/v1/models/half/metadata", b"", 404, "Servable not found for request: Latest(half)"),
    ("GET", PREDICT, b"", 400, f"Malformed request: GET {PREDICT}"),
    ("POST", "/v1/models/charseq", b"", 400, "Malformed request: POST /v1/models/charseq"),
    ("PUT", PREDICT, b"", 400, f"Malformed request: PUT {PREDICT}"),
    ("GET", "/v1/other", b"", 400, "Malformed request: GET /v1/other"),
    (
        "GET",
        f"/v1/models/charseq/versions/{2**63}",
        b"",
        400,
        "Failed to convert version: 9223372036854775808 to numeric.",
    ),
    (
        "GET",
        "/v1/models/charseq/labels/canary",
        b"",
        400,
        "Unrecognized servable version label: canary",
    ),
    error(
        {"instances": ["a"]},
        "Servable not found for request: Latest(half)",
        "/v1/models/half:predict",
        404,
    ),
    error(
        {"instances": ["a"]},
        "Servable not found for request: Specific(charseq, 2)",
        "/v1/models/charseq/versions/2:predict",
        404,
    ),
    # The body as a whole.
    error(b"", "JSON Parse error: The document is empty"),
    error(b"[1]", "JSON Value: [1] Is not object"),
    error({}, "Missing 'inputs' or 'instances' key"),
    error(
        {"signature_name": 3, "instances": ["a"]},
        'JSON Value: {"signature_name": 3, "instances": ["a"]} not formatted correctly. '
        "'signature_name' key must be a string value.",
    ),
    error(
        {"signature_name": "other", "instances": ["a"]},
        'Serving signature name: "other" not found in signature def',
    ),
    error(
        {"instances": ["a"], "inputs": ["a"]},
        'JSON Value: {"instances": ["a"], "inputs": ["a"]} Not formatted correctly expecting only '
        "one of 'inputs' or 'instances' keys to exist ",
    ),
    # Rows.
    error(
        {"instances": "a"},
        'JSON Value: {"instances": "a"} Excepting \'instances\' to be an list/array',
    ),
    error({"instances": []}, "JSON Value: {\"instances\": []} No values in 'instances' array"),
    error(
        {"signature_name": "classify_ids", "instances": [[1]]},
        "instances is a plain list, but expecting list of objects as multiple input tensors "
        "required as per tensorinfo_map",
    ),
    error(
        {"instances": [{"sequence": "a"}, "b"]},
        "Expecting object but got list at item 1 of input list",
    ),
    error(
        {"instances": ["a", {"sequence": "b"}]},
        "Expecting value/list but got object at item 1 of input list",
    ),
    error(
        {"instances": [{"text": "a"}]},
        f"{FIRST}text of 'instances' list. Error: INVALID_ARGUMENT: JSON object: does not have "
        "named input: text",
    ),
    error(
        {"signature_name": "classify_ids", "instances": [{"ids": [1]}]},
        "Failed to process element: 0 of 'instances' list. JSON object: {\"ids\": [1]} keys must "
        "be equal to: ids,length",
    ),
    error(
        {
            "signature_name": "classify_ids",
            "instances": [{"ids": [1], "length": 1}, {"ids": [1, 2], "length": 1}],
        },
        "Failed to process element: 1 key: ids of 'instances' list. Error: INVALID_ARGUMENT: "
        "Expecting tensor size: 1 but got: 2",
    ),
    error(
        {
            "signature_name": "classify_ids",
            "instances": [{"ids": [1], "length": 1}, {"ids": [[1]], "length": 1}],
        },
        "Failed to process element: 1 key: ids of 'instances' list. Error: INVALID_ARGUMENT: "
        "Expecting shape [1] but got: [1,1]",
    ),
    error(
        {"instances": [7]},
        f"{FIRST}sequence of 'instances' list. Error: INVALID_ARGUMENT: JSON Value: 7 Type: Number "
        "is not of expected type: string",
    ),
    error(
        {"instances": [None]},
        f"{FIRST}sequence of 'instances' list. Error: INVALID_ARGUMENT: JSON Value: null Type: "
        "Null is not of expected type: string",
    ),
    # Columns.
    error(
        {"signature_name": "top_k", "inputs": ["a"]},
        "inputs is a plain value/list, but expecting an object as multiple input tensors required "
        "as per tensorinfo_map",
    ),
    error(
        {"signature_name": "top_k", "inputs": {"sequence": ["a"]}},
        "Missing named input: k in 'inputs' object.",
    ),
    # Values.
    error(ids([[True]]), "JSON Value: true Type: True is not of expected type: int64"),
    error(ids([[1.5]]), "JSON Value: 1.5 Type: Number is not of expected type: int64"),
    error(ids([["1"]]), 'JSON Value: "1" Type: String is not of expected type: int64'),
    error(
        ids([[{"b64": "YQ=="}]]).copy(),
        'JSON Value: {"b64": "YQ=="} Type: Object is not of expected type: int64',
    ),
    error(
        ids([[1], [1, 2]]), "Encountered list at unexpected size: 2 at level: 1 expected size: 1"
    ),
    error(
        ids([[1], 2]),
        "JSON Value: 2 found at incorrect level: 2 in the JSON DOM. Expected at level: 2",
    ),
    error(ids([[1], [[2]]]), "Encountered list at unexpected level: 2 expected < 2"),
    error({"inputs": {"sequence": [{"b64": "!"}]}}, "Unable to base64 decode"),
    error(
        {"inputs": {"sequence": [{"b64": 1}]}},
        'JSON Value: {"b64": 1} not formatted correctly for base64 data',
    ),
    error(
        {"signature_name": "predict_set", "inputs": {"sequence": ["a"], "coverage": 16777217}},
        "Cannot convert JSON value: 16777217 to float without loss of precision.",
    ),
    error(
        {"signature_name": "predict_set", "inputs": {"sequence": ["a"], "coverage": 1e39}},
        "Cannot convert JSON value: 1e+39 to float without loss of precision.",
    ),
    # Answers that are not by row.
    error(
        {"signature_name": "scalar", "instances": ["a"]},
        "Tensor name: total has no shape information ",
    ),
    # Classify and Regress API: no signature of a charseq model is made for them.
    error(
        {"examples": [{"sequence": "a"}]},
        "Expected classification signature method_name to be tensorflow/serving/classify. Was: "
        "tensorflow/serving/predict",
        "/v1/models/charseq:classify",
    ),
    error(
        {"examples": [{"sequence": "a"}]},
        "Expected regression signature method_name to be tensorflow/serving/regress. Was: "
        "tensorflow/serving/predict",
        "/v1/models/charseq:regress",
    ),
    error(
        {"signature_name": "other", "examples": [{}]},
        "No signature was found with the name: other",
        "/v1/models/charseq:regress",
    ),
    error(
        {"instances": ["a"]},
        'JSON Value: {"instances": ["a"]} When method is classify, key \'examples\' is expected '
        "and was not found",
        "/v1/models/charseq:classify",
    ),
    # The model's own errors.
    error({"instances": ["fail"]}, "the model fails: no such sequence"),
]


@pytest.mark.parametrize(("method", "path", "body", "status", "message"), ERRORS)
def test_an_error_has_the_status_and_the_words_of_tensorflow_serving(
    method: str, path: str, body: bytes, status: int, message: str
) -> None:
    answer = InMemoryServer().request(method, path, body)
    assert (answer.status, answer.json) == (status, {"error": message})
    assert answer.headers["content-type"] == "application/json"


def test_metadata_describe_the_signatures() -> None:
    for path in ("/v1/models/charseq/metadata", "/v1/models/charseq/versions/3/metadata"):
        content = InMemoryServer().request("GET", path).json
        assert content["model_spec"] == {"name": "charseq", "signature_name": "", "version": "3"}
        signature = content["metadata"]["signature_def"]["signature_def"]["top_k"]
        assert signature["method_name"] == "tensorflow/serving/predict"


def test_numbers_that_are_no_json_are_written_as_tensorflow_serving_writes_them() -> None:
    body = {"signature_name": "explain", "instances": ["a"]}
    assert InMemoryServer().request("POST", PREDICT, body).body == b'{"predictions": [[NaN, NaN]]}'


def test_numbers_that_are_no_json_are_read() -> None:
    body = b'{"signature_name": "predict_set", "inputs": {"sequence": ["a"], "coverage": NaN}}'
    assert InMemoryServer().request("POST", PREDICT, body).status == 200


def test_text_is_normalized_as_the_preparation_does_and_bytes_that_are_no_text_are_not() -> None:
    server = InMemoryServer()
    decomposed = "e\u0301"
    rows = [decomposed, {"b64": "ZcyB"}, {"b64": "/w=="}, "\0", ""]
    server.request("POST", PREDICT, {"instances": rows})
    assert server.model.calls[0].columns["sequence"].tolist() == [
        "é".encode(),
        "é".encode(),
        b"\xff",
        b"\0",
        b"",
    ]


def test_before_a_model_is_loaded_clients_are_asked_to_come_again() -> None:
    server = InMemoryServer(is_loaded=False)
    answer = server.request("POST", PREDICT, {"instances": ["a"]})
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert answer.json == {"error": "Servable not found for request: Latest(charseq)"}
    assert server.request("GET", "/v1/models/charseq").status == 404
    assert server.request("GET", "/readyz").status == 503
    assert server.request("GET", "/healthz").status == 200

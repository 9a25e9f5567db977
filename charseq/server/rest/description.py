"""`/openapi.json`: the paths of the server, as OpenAPI 3.1 describes them."""

from __future__ import annotations

from typing import Any

from charseq.models.saved_model import COVERAGE
from charseq.server.rest.calls import INFLUENCE, Limits

_ERRORS = {
    400: "The request is not as it must be; the error says what was expected",
    401: "The token is missing or wrong, where the server has one",
    403: "The Host header is not one of this server",
    404: "There is no such model, version or path",
    408: "The request did not arrive in time",
    413: "The request is beyond a limit",
    503: "Too many rows are waiting, or no model is loaded; try again after Retry-After seconds",
    504: "The model took too long",
}
_NUMBER, _TEXT = {"type": "number"}, {"type": "string"}


def describe_api(name: str, limits: Limits) -> dict[str, Any]:
    """Return the description.

    Args:
        name: of the model.
        limits: of a request.
    """
    model = f"/v1/models/{name}"
    paths: dict[str, Any] = {
        "/ask": {"post": _ask(limits)},
        "/card": {"get": _card()},
        f"{model}:predict": {"post": _predict()},
        f"{model}/versions/{{version}}:predict": {"post": _predict()},
    }
    for suffix, text in (("", "States of the versions"), ("/metadata", "Signatures")):
        for middle in ("", "/versions/{version}"):
            paths[f"{model}{middle}{suffix}"] = {"get": _get(text)}
    for path, text in (
        ("/healthz", "The process lives"),
        ("/readyz", "A model is loaded"),
        ("/metrics", "Metrics for Prometheus"),
        ("/openapi.json", "This description"),
        ("/", "The web page"),
    ):
        paths[path] = {"get": _get(text)}
    for path, methods in paths.items():
        if "{version}" in path:
            version = {"name": "version", "in": "path", "required": True, "schema": _INTEGER}
            next(iter(methods.values()))["parameters"] = [version]
    return {
        "openapi": "3.1.0",
        "info": {"title": f"The model {name}", "version": "1"},
        "paths": paths,
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "security": [{}, {"token": []}],
    }


_INTEGER = {"type": "integer", "minimum": 0}
_VERSION_HEADER = {
    "X-Model-Version": {"description": "The version that answered", "schema": _INTEGER}
}


def _get(text: str) -> dict[str, Any]:
    return {"summary": text, "responses": {"200": {"description": text}}}


def _card() -> dict[str, Any]:
    evaluation = {
        "type": ["object", "null"],
        "properties": {"split": _TEXT, "rows": _INTEGER},
        "additionalProperties": {"type": ["number", "null"]},
    }
    flags = {"type": "object", "additionalProperties": {"type": "boolean"}}
    limits = {"type": "object", "additionalProperties": _INTEGER}
    properties = {
        "name": _TEXT,
        "version": _INTEGER,
        "labels": {"type": "array", "items": _TEXT},
        "max_length": _INTEGER,
        "alphabet_size": _INTEGER,
        "dataset": _TEXT,
        "train_rows": _INTEGER,
        "promoted": {"type": ["string", "null"]},
        "evaluation": evaluation,
        "answers": flags,
        "limits": limits,
    }
    answer = {"type": "object", "properties": properties, "required": sorted(properties)}
    text = "What the current version was made of, how good it was, and what may be asked"
    answered = {"description": text, "headers": _VERSION_HEADER, "content": _json(answer)}
    return {"summary": text, "responses": {"200": answered, **_errors(401, 403, 503)}}


def _errors(*statuses: int) -> dict[str, Any]:
    error = {"type": "object", "properties": {"error": _TEXT}, "required": ["error"]}
    return {
        str(status): {"description": _ERRORS[status], "content": _json(error)}
        for status in statuses
    }


def _post(summary: str, body: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    answered = {
        "description": "The answers",
        "headers": _VERSION_HEADER,
        "content": _json(answer),
    }
    return {
        "summary": summary,
        "requestBody": {"required": True, "content": _json(body)},
        "responses": {"200": answered, **_errors(*_ERRORS)},
    }


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _ask(limits: Limits) -> dict[str, Any]:
    text = {"type": "string", "maxLength": limits.characters}
    body = {
        "type": "object",
        "properties": {
            "sequences": {"type": "array", "items": text, "maxItems": limits.rows},
            INFLUENCE: {"type": "boolean", "default": False},
            COVERAGE: {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
        },
        "required": ["sequences"],
        "additionalProperties": False,
    }
    answer = {
        "type": "object",
        "properties": {
            "sequence": _TEXT,
            "label": _TEXT,
            "probability": _NUMBER,
            "set": {"type": "array", "items": _TEXT},
            "strangeness": _NUMBER,
            "read": _TEXT,
            INFLUENCE: {"type": "array", "items": _NUMBER},
            "rejected": _TEXT,
        },
        "required": ["sequence"],
    }
    return _post("Labels of sequences", body, {"type": "array", "items": answer})


def _predict() -> dict[str, Any]:
    body = {
        "type": "object",
        "properties": {"signature_name": _TEXT, "instances": {"type": "array"}, "inputs": {}},
        "oneOf": [{"required": ["instances"]}, {"required": ["inputs"]}],
    }
    answer = {"type": "object", "properties": {"predictions": {"type": "array"}, "outputs": {}}}
    return _post("A signature of the model, as TensorFlow Serving's predict API", body, answer)

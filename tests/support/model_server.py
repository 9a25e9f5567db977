"""python -m tests.support.model_server REGISTRY: a minimal stand-in for TensorFlow Serving.

It loads the greatest version in a registry directory, as `tensorflow_model_server` does by default,
and answers the predict requests of its REST interface:
https://www.tensorflow.org/tfx/serving/api_rest. For tests and trials only: one request at a time.
"""

from __future__ import annotations

import argparse
import base64
import json
import re
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

_URL = re.compile(r"/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>\d+))?(?P<verb>:predict)?")


class RequestError(Exception):
    """A request that is refused with an HTTP status and a message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class ModelServer(HTTPServer):
    """Serves the model `name`: the greatest version in the directory `registry`."""

    def __init__(self, registry: Path, name: str, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.name = name
        self.version = max(int(path.name) for path in registry.iterdir() if path.name.isdigit())
        self.model = tf.saved_model.load(str(registry / str(self.version)))

    def status(self) -> dict[str, Any]:
        state = {"error_code": "OK", "error_message": ""}
        status = {"version": str(self.version), "state": "AVAILABLE", "status": state}
        return {"model_version_status": [status]}

    def predict(self, request: Mapping[str, Any]) -> dict[str, Any]:
        if ("instances" in request) == ("inputs" in request):
            raise RequestError(400, "expected one of 'instances' and 'inputs'")
        name = request.get("signature_name", "serving_default")
        if name not in self.model.signatures:
            raise RequestError(400, f'Serving signature name: "{name}" not found in signature def')
        signature = self.model.signatures[name]
        specs = signature.structured_input_signature[1]
        columns = _columns(request, list(specs))
        if set(columns) != set(specs):
            raise RequestError(400, f"got inputs {sorted(columns)}, expected {sorted(specs)}")
        try:
            answer = signature(
                **{
                    name: tf.constant(_plain(columns[name]), spec.dtype)
                    for name, spec in specs.items()
                }
            )
        except (tf.errors.OpError, TypeError, ValueError) as error:
            raise RequestError(400, str(error)) from error
        outputs = {name: _to_json(tensor.numpy()) for name, tensor in answer.items()}
        if "inputs" in request:
            return {"outputs": outputs if len(outputs) > 1 else next(iter(outputs.values()))}
        rows = [dict(zip(outputs, row, strict=True)) for row in zip(*outputs.values(), strict=True)]
        return {"predictions": rows if len(outputs) > 1 else next(iter(outputs.values()))}


def _columns(request: Mapping[str, Any], names: list[str]) -> dict[str, Any]:
    """Return the inputs by name; where there is only one, a client may leave out its name."""
    if "inputs" in request:
        inputs = request["inputs"]
        return inputs if isinstance(inputs, dict) else {names[0]: inputs}
    rows = request["instances"]
    if rows and isinstance(rows[0], dict) and "b64" not in rows[0]:
        return {name: [row[name] for row in rows] for name in rows[0]}
    return {names[0]: rows}


def _plain(value: Any) -> Any:
    """Return text as bytes; `{"b64": …}` stands for binary content."""
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return base64.b64decode(value["b64"])
    return value.encode() if isinstance(value, str) else value


def _to_json(array: np.ndarray) -> Any:
    if array.dtype == object:
        return np.vectorize(lambda text: text.decode(), otypes=[object])(array).tolist()
    # As many digits as a float32 has.
    return [_to_json(row) for row in array] if array.ndim else json.loads(str(array))


class _Handler(BaseHTTPRequestHandler):
    server: ModelServer

    def do_GET(self) -> None:
        self._answer(lambda: self.server.status())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))

        def predict() -> dict[str, Any]:
            try:
                request = json.loads(body)
            except ValueError as error:
                raise RequestError(400, f"JSON Parse error: {error}") from error
            return self.server.predict(request)

        self._answer(predict)

    def _answer(self, make: Any) -> None:
        try:
            url = _URL.fullmatch(self.path)
            if not url or bool(url["verb"]) != (self.command == "POST"):
                raise RequestError(404, f"Malformed request: {self.command} {self.path}")
            if url["name"] != self.server.name:
                raise RequestError(404, f"Servable not found for request: Latest({url['name']})")
            if url["version"] not in (None, str(self.server.version)):
                raise RequestError(404, f"Servable not found for request: Specific({url[0]})")
            status, content = 200, make()
        except RequestError as error:
            status, content = error.status, {"error": str(error)}
        body = (json.dumps(content, indent=4, ensure_ascii=False) + "\n").encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("registry", type=Path)
    parser.add_argument("--name", default="charseq")
    parser.add_argument("--port", type=int, default=8501)
    args = parser.parse_args()
    ModelServer(args.registry, args.name, args.port).serve_forever()


if __name__ == "__main__":
    main()

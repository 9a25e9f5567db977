"""Answers as TensorFlow Serving writes them: predictions, metadata, states of versions, errors."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson

from charseq.server.errors import RequestError, invalid
from charseq.server.model.messages import Array

# Text of outputs with such a name is bytes.
_BYTES_SUFFIX = "_bytes"


def to_body(outputs: Mapping[str, Array], *, by_row: bool) -> bytes:
    """Return the JSON of a `:predict` answer.

    Args:
        outputs: of the signature by name; float32 is written as short as it is exact.
        by_row: give a value for each row, or else for each output. A lone output has no name.

    Raises:
        RequestError: 400, `by_row` and an output has not a value for each row.
    """
    columns = {name: _to_json(name, outputs[name]) for name in sorted(outputs)}
    if not by_row:
        return _dump({"outputs": columns if len(columns) > 1 else next(iter(columns.values()))})
    _check_rows(outputs)
    if len(columns) == 1:
        return _dump({"predictions": next(iter(columns.values()))})
    rows = zip(*columns.values(), strict=True)
    return _dump({"predictions": [dict(zip(columns, row, strict=True)) for row in rows]})


def _check_rows(outputs: Mapping[str, Array]) -> None:
    expected: int | None = None
    for name, array in outputs.items():
        if not array.ndim:
            raise invalid(f"Tensor name: {name} has no shape information ")
        if expected not in (None, len(array)):
            raise invalid(
                f"Tensor name: {name} has inconsistent batch size: {len(array)} expecting: "
                f"{expected}"
            )
        expected = len(array)


def _to_json(name: str, array: Array) -> Any:
    """Return an output as lists; the innermost numbers stay an array, which is quicker."""
    if array.dtype == object:
        return _texts(array.tolist(), is_bytes=name.endswith(_BYTES_SUFFIX))
    return list(np.ascontiguousarray(array)) if array.ndim else array[()]


def _texts(value: Any, *, is_bytes: bool) -> Any:
    if isinstance(value, list):
        return [_texts(each, is_bytes=is_bytes) for each in value]
    if is_bytes:
        return {"b64": base64.b64encode(value).decode("ascii")}
    return value.decode("utf-8", "replace")


def _dump(content: Any) -> bytes:
    if _is_finite(content):
        return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)
    # NaN and Infinity, which are no JSON but in TensorFlow Serving's.
    return json.dumps(content, default=_to_plain).encode("ascii")


def _is_finite(content: Any) -> bool:
    if isinstance(content, dict):
        return all(map(_is_finite, content.values()))
    if isinstance(content, list) and content and not isinstance(content[0], str):
        return all(map(_is_finite, content))
    return not isinstance(content, (np.ndarray, np.floating)) or bool(np.isfinite(content).all())


def _to_plain(value: Any) -> Any:
    # float32 as the double of the same text.
    if isinstance(value, np.floating):
        return float(str(value))
    return [_to_plain(each) for each in value] if isinstance(value, np.ndarray) else value.item()


def error_body(message: str) -> bytes:
    """Return the JSON of an error."""
    return orjson.dumps({"error": message.encode("utf-8", "replace").decode("utf-8")})


def state_of_version(number: int, state: str, error: str = "") -> dict[str, Any]:
    """Return the state of a version, as `GET /v1/models/NAME` lists it."""
    status = {"error_code": "UNKNOWN" if error else "OK", "error_message": error}
    return {"version": str(number), "state": state, "status": status}


def metadata(name: str, number: int, signature_def: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of `GET /v1/models/NAME/metadata`."""
    return {
        "model_spec": {"name": name, "signature_name": "", "version": str(number)},
        "metadata": {"signature_def": {"signature_def": signature_def}},
    }


def not_found(name: str, version: int | None) -> RequestError:
    """Return the error of a request for a model, or a version, that is not served."""
    asked = f"Latest({name})" if version is None else f"Specific({name}, {version})"
    return RequestError(404, f"Servable not found for request: {asked}")

"""The body of a `:predict` request, as TensorFlow Serving reads it.

https://www.tensorflow.org/tfx/serving/api_rest#predict_api: rows as `instances` or columns as
`inputs`, of one signature; `{"b64": …}` stands for bytes. What is wrong is said in its words.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import orjson

from charseq.models.saved_model import CLASSIFY
from charseq.server.errors import RequestError, invalid
from charseq.server.model.messages import Array, Signature, TensorSpec

_B64 = "b64"
_INSTANCES, _INPUTS, _SIGNATURE_NAME = "instances", "inputs", "signature_name"
_SHOWN = 200
_MAX_RANK = 8
# What TensorFlow calls them in messages.
_TYPE_NAMES = {"float32": "float", "float64": "double"}
_KINDS = {bool: "", type(None): "Null", dict: "Object", list: "Array", str: "String"}

_Inputs = Mapping[str, TensorSpec]


class PredictRequest(NamedTuple):
    """A request that can be computed.

    by_row: whether the answer has a value for each row (`predictions`) or for each output
    (`outputs`). inputs: all of the signature's; text as str, or as bytes if the client gave those,
    in an array of objects.
    """

    signature: str
    by_row: bool
    inputs: Mapping[str, Array]


def parse_json(body: bytes) -> dict[str, Any]:
    """Return the JSON object of a body, in which NaN and Infinity are numbers.

    Raises:
        RequestError: 400, it is no JSON, or no object.
    """
    if not body:
        raise invalid("JSON Parse error: The document is empty")
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        content = _parse_with_constants(body, error)
    if not isinstance(content, dict):
        raise invalid(f"JSON Value: {show_value(content)} Is not object")
    return content


def _parse_with_constants(body: bytes, error: orjson.JSONDecodeError) -> Any:
    if b"NaN" in body or b"Infinity" in body:
        try:
            content = json.loads(body.decode("utf-8"))
            json.dumps(content, ensure_ascii=False).encode("utf-8")  # No lone surrogates.
            return content
        except (ValueError, RecursionError):
            pass
    raise invalid(f"JSON Parse error: {error}") from None


def parse_predict(
    content: Mapping[str, Any], find_signature: Callable[[str], Signature]
) -> PredictRequest:
    """Return what the JSON object of a `:predict` request asks for.

    Args:
        content: the object.
        find_signature: returns the signature of a name, or raises what is wrong with the name.

    Raises:
        RequestError: 400, it is not what the signature takes.
    """
    name = signature_name(content)
    inputs = find_signature(name).inputs
    if _INSTANCES not in content and _INPUTS not in content:
        raise invalid("Missing 'inputs' or 'instances' key")
    if _INSTANCES in content and _INPUTS in content:
        raise invalid(
            f"JSON Value: {show_value(content)} Not formatted correctly expecting only one of "
            "'inputs' or 'instances' keys to exist "
        )
    if _INSTANCES in content:
        return PredictRequest(name, True, _from_rows(content, inputs))
    return PredictRequest(name, False, _from_columns(content[_INPUTS], inputs))


def signature_name(content: Mapping[str, Any]) -> str:
    """Return the signature that a request names, or the default one.

    Raises:
        RequestError: 400, its name is not a text.
    """
    name = content.get(_SIGNATURE_NAME, "")
    if not isinstance(name, str):
        raise invalid(
            f"JSON Value: {show_value(content)} not formatted correctly. 'signature_name' key "
            "must be a string value."
        )
    return name or CLASSIFY


def _from_columns(value: Any, inputs: _Inputs) -> dict[str, Array]:
    if not isinstance(value, dict) or _is_b64(value):
        if len(inputs) > 1:
            raise invalid(
                "inputs is a plain value/list, but expecting an object as multiple input tensors "
                "required as per tensorinfo_map"
            )
        value = dict.fromkeys(inputs, value)
    for name in inputs:
        if name not in value:
            raise invalid(f"Missing named input: {name} in 'inputs' object.")
    return {name: to_array(value[name], spec.dtype) for name, spec in inputs.items()}


def _from_rows(content: Mapping[str, Any], inputs: _Inputs) -> dict[str, Array]:
    rows = content[_INSTANCES]
    if not isinstance(rows, list):
        raise invalid(
            f"JSON Value: {show_value(content)} Excepting 'instances' to be an list/array"
        )
    if not rows:
        raise invalid(f"JSON Value: {show_value(content)} No values in 'instances' array")
    if not _is_named(rows[0]) and len(inputs) != 1:
        raise invalid(
            "instances is a plain list, but expecting list of objects as multiple input tensors "
            "required as per tensorinfo_map"
        )
    if _is_named(rows[0]):
        return _from_named_rows(rows, inputs)
    ((name, spec),) = inputs.items()
    for number, row in enumerate(rows):
        if _is_named(row):
            raise invalid(f"Expecting value/list but got object at item {number} of input list")
    return {name: _stack(rows, name, spec.dtype)}


def _from_named_rows(rows: list[Any], inputs: _Inputs) -> dict[str, Array]:
    for number, row in enumerate(rows):
        if not _is_named(row):
            raise invalid(f"Expecting object but got list at item {number} of input list")
        for name in row:
            if name not in inputs:
                raise _in_element(number, name, f"JSON object: does not have named input: {name}")
        if set(row) != set(inputs):
            raise invalid(
                f"Failed to process element: {number} of 'instances' list. JSON object: "
                f"{show_value(row)} keys must be equal to: {','.join(sorted(inputs))}"
            )
    return {
        name: _stack([row[name] for row in rows], name, spec.dtype) for name, spec in inputs.items()
    }


def _stack(values: list[Any], name: str, dtype: str) -> Array:
    """Return a tensor of one for each row, which all have the same shape."""
    if dtype == "string" and all(type(value) is str for value in values):
        return _objects(values)
    rows: list[Array] = []
    for number, value in enumerate(values):
        try:
            rows.append(to_array(value, dtype))
        except RequestError as error:
            raise _in_element(number, name, str(error)) from None
        expected, got = rows[0], rows[-1]
        if expected.size != got.size:
            raise _in_element(
                number, name, f"Expecting tensor size: {expected.size} but got: {got.size}"
            )
        if expected.shape != got.shape:
            raise _in_element(
                number,
                name,
                f"Expecting shape {_show_shape(expected)} but got: {_show_shape(got)}",
            )
    return np.stack(rows)


def _in_element(number: int, name: str, reason: str) -> RequestError:
    return invalid(
        f"Failed to process element: {number} key: {name} of 'instances' list. Error: "
        f"INVALID_ARGUMENT: {reason}"
    )


def to_array(value: Any, dtype: str) -> Array:
    """Return a JSON value, or nested lists of them that have a shape, as a tensor.

    Raises:
        RequestError: 400, a value is not of the dtype, or the lists are not of the same size.
    """
    shape = _shape_of(value)
    if len(shape) > _MAX_RANK:
        raise invalid(f"got lists in {len(shape)} levels, expected at most {_MAX_RANK}")
    values = [value]
    for level, size in enumerate(shape):
        for each in values:
            if not isinstance(each, list):
                raise _at_level(each, level, len(shape))
            if len(each) != size:
                raise invalid(
                    f"Encountered list at unexpected size: {len(each)} at level: {level} expected "
                    f"size: {size}"
                )
        values = [inner for each in values for inner in each]
    for each in values:
        if isinstance(each, list):
            raise invalid(
                f"Encountered list at unexpected level: {len(shape)} expected < {len(shape)}"
            )
    return _objects_or_numbers([_convert(each, dtype) for each in values], dtype).reshape(shape)


def _at_level(value: Any, level: int, rank: int) -> RequestError:
    return invalid(
        f"JSON Value: {show_value(value)} found at incorrect level: {level + 1} in the JSON "
        f"DOM. Expected at level: {rank}"
    )


def _shape_of(value: Any) -> tuple[int, ...]:
    """Return the shape of nested lists by the first value of each."""
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        value = value[0] if value else None
    return tuple(shape)


def _objects_or_numbers(values: list[Any], dtype: str) -> Array:
    return _objects(values) if dtype == "string" else np.array(values, dtype)


def _objects(values: list[Any]) -> Array:
    array = np.empty(len(values), object)
    array[:] = values
    return array


def _convert(value: Any, dtype: str) -> Any:
    if dtype == "string":
        if isinstance(value, dict):
            return _decode_b64(value)
        if isinstance(value, str):
            return value
    elif dtype == "bool":
        if isinstance(value, bool):
            return value
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        return _convert_number(value, np.dtype(dtype))
    raise _type_error(value, dtype)


def _convert_number(value: float, dtype: np.dtype[Any]) -> float:
    if dtype.kind == "f":
        largest = 2 ** (np.finfo(dtype).nmant + 1) - 1
        is_lossy = (
            abs(value) > largest
            if isinstance(value, int)
            else np.isfinite(value) and abs(value) > float(np.finfo(dtype).max)
        )
        if is_lossy:
            name = _TYPE_NAMES[dtype.name]
            raise invalid(
                f"Cannot convert JSON value: {show_value(value)} to {name} without loss of "
                "precision."
            )
        return value
    limits = np.iinfo(dtype)
    if not isinstance(value, int) or not limits.min <= value <= limits.max:
        raise _type_error(value, dtype.name)
    return value


def _type_error(value: Any, dtype: str) -> RequestError:
    kind = str(value) if isinstance(value, bool) else _KINDS.get(type(value), "Number")
    return invalid(
        f"JSON Value: {show_value(value)} Type: {kind} is not of expected type: "
        f"{_TYPE_NAMES.get(dtype, dtype)}"
    )


def _is_named(value: Any) -> bool:
    return isinstance(value, dict) and not _is_b64(value)


def _is_b64(value: Any) -> bool:
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get(_B64), str)


def _decode_b64(value: dict[str, Any]) -> bytes:
    if not _is_b64(value):
        raise invalid(f"JSON Value: {show_value(value)} not formatted correctly for base64 data")
    try:
        text = value[_B64]
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise invalid("Unable to base64 decode") from None


def _show_shape(array: Array) -> str:
    return f"[{','.join(map(str, array.shape))}]"


def show_value(value: Any) -> str:
    """Return the start of a value as JSON, for a message."""
    try:
        text = json.dumps(value)
    except RecursionError:
        return "(deeply nested)"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"

"""Requests as calls of a model: their text normalized, and within limits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from charseq.models.saved_model import COVERAGE, EXPLAIN, IDS, SEQUENCE
from charseq.server.errors import RequestError, invalid, too_large
from charseq.server.model.messages import ASK, Array, Call, Ready, Signature, TensorSpec
from charseq.server.rest.predict_request import PredictRequest
from charseq.text.normalization import Normalization

# A text is explained by asking for each of its characters.
_ROWS_TO_EXPLAIN = 64
INFLUENCE = "influence"
_ASKED = {"sequences", INFLUENCE, COVERAGE}
_EXPECTED = (
    'expected an object as {"sequences": ["ACDEF"], "influence": true, "coverage": 0.95}, of which '
    "only the sequences are needed"
)


class Limits(NamedTuple):
    """The largest request: its rows, and the characters of a text."""

    rows: int
    characters: int


def find_signature(model: Ready, name: str) -> Signature:
    """Return a signature of a model.

    Raises:
        RequestError: 400, it has none of this name.
    """
    if name not in model.signatures:
        raise invalid(f'Serving signature name: "{name}" not found in signature def')
    return model.signatures[name]


def predict_call(request: PredictRequest, model: Ready, limits: Limits) -> Call:
    """Return the call for a `:predict` request.

    Raises:
        RequestError: 400, the shapes of the inputs are not those of the signature; 413, they have
            too many rows or characters.
    """
    specs = find_signature(model, request.signature).inputs
    inputs = dict(request.inputs)
    for name, spec in specs.items():
        _check_shape(name, inputs[name], spec)
    columns = {name: inputs[name] for name, spec in specs.items() if spec.is_by_row}
    shared = {name: inputs[name] for name, spec in specs.items() if not spec.is_by_row}
    rows = {len(array) for array in columns.values()}
    if len(rows) > 1:
        raise invalid(f"inputs have different numbers of rows: {sorted(rows)}")
    check_rows(max(rows, default=0), limits)
    if IDS in columns and columns[IDS].shape[1] > model.max_length:
        raise too_large(
            f"got {columns[IDS].shape[1]:,} ids in a row, expected at most {model.max_length:,}"
        )
    for name, array in columns.items():
        if array.dtype == object:
            columns[name] = to_bytes(array.tolist(), model.normalization, limits)
    return Call(request.signature, columns, shared)


def _check_shape(name: str, array: Array, spec: TensorSpec) -> None:
    fits = len(spec.shape) == array.ndim and all(
        expected in (None, got) for expected, got in zip(spec.shape, array.shape, strict=True)
    )
    if not fits:
        expected = [-1 if size is None else size for size in spec.shape]
        raise invalid(f"input {name}: got shape {list(array.shape)}, expected {expected}")


def ask_call(content: Mapping[str, Any], model: Ready, limits: Limits) -> Call:
    """Return the call for the JSON object of an `/ask` request.

    Raises:
        RequestError: 400, it is not as it must be, or asks for what the model cannot say; 413, it
            has too many rows or characters.
    """
    if unknown := sorted(set(content) - _ASKED):
        raise invalid(f"unknown key {unknown[0]!r}: {_EXPECTED}")
    sequences = content.get("sequences")
    if not isinstance(sequences, list):
        raise invalid(f"sequences: got {_kind(sequences)}: {_EXPECTED}")
    for number, sequence in enumerate(sequences):
        if not isinstance(sequence, str):
            raise invalid(f"sequences[{number}]: got {_kind(sequence)}, expected a text")
    influence, coverage = content.get(INFLUENCE, False), content.get(COVERAGE)
    if not isinstance(influence, bool):
        raise invalid(f"influence: got {_kind(influence)}, expected true or false")
    if influence and EXPLAIN not in model.signatures:
        raise _cannot(INFLUENCE)
    if coverage is not None:
        _check_coverage(coverage, model)
    check_rows(len(sequences), limits)
    texts = to_bytes(sequences, None, limits)
    return Call(ASK, {SEQUENCE: texts}, {INFLUENCE: influence, COVERAGE: coverage})


def _check_coverage(coverage: object, model: Ready) -> None:
    is_number = isinstance(coverage, (int, float)) and not isinstance(coverage, bool)
    if not is_number or not 0 < coverage <= 1:  # type: ignore[operator]
        raise invalid(f"coverage: got {coverage!r}, expected a number above 0, at most 1")
    if "predict_set" not in model.signatures:
        raise _cannot(COVERAGE)


def _cannot(name: str) -> RequestError:
    return invalid(
        f"{name}: the model was exported by an earlier version, or had no validation rows, and "
        "cannot say this"
    )


def _kind(value: object) -> str:
    names = {type(None): "nothing", bool: "true or false", list: "a list", dict: "an object"}
    return names.get(type(value), "a text" if isinstance(value, str) else "a number")


def check_rows(rows: int, limits: Limits) -> None:
    """Check the rows of a request.

    Raises:
        RequestError: 413, there are too many.
    """
    if rows > limits.rows:
        raise too_large(f"got {rows:,} rows, expected at most {limits.rows:,} in a request")


def to_bytes(texts: list[Any], normalization: Normalization | None, limits: Limits) -> Array:
    """Return texts as UTF-8, an array (rows,) of bytes, as the graph of a model expects them.

    Args:
        texts: str, or bytes that a client gave as such; these may be no UTF-8.
        normalization: of the model; None if the model's process does it.
        limits: of a request.

    Raises:
        RequestError: 413, one is too long.
    """
    for number, text in enumerate(texts):
        if len(text) > limits.characters:
            raise too_large(
                f"row {number} has {len(text):,} characters, expected at most {limits.characters:,}"
            )
    if normalization is not None:
        texts = [_as_text(text) for text in texts]
        valid = [text for text in texts if isinstance(text, str)]
        normalized = iter(normalization.before_graph(valid))
        texts = [next(normalized) if isinstance(text, str) else text for text in texts]
    return _object_array(text.encode("utf-8") if isinstance(text, str) else text for text in texts)


def _as_text(text: str | bytes) -> str | bytes:
    if isinstance(text, str):
        return text
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        return text


def _object_array(values: Iterable[bytes]) -> Array:
    listed = list(values)
    array = np.empty(len(listed), object)
    array[:] = listed
    return array


def most_rows(call: Call, batch_rows: int) -> int:
    """Return the most rows of a batch of calls like this one."""
    explains = call.signature == EXPLAIN or bool(call.shared.get(INFLUENCE))
    return min(batch_rows, _ROWS_TO_EXPLAIN) if explains else batch_rows


def pieces(call: Call, most: int) -> list[Call]:
    """Return a call in parts of at most as many rows as are computed at once."""
    if call.rows <= most:
        return [call]
    return [
        call._replace(columns={name: array[at : at + most] for name, array in call.columns.items()})
        for at in range(0, call.rows, most)
    ]


def group(call: Call) -> tuple[object, ...]:
    """Return what calls that can be computed in one batch have in common."""
    return (
        call.signature,
        *((name, array.shape[1:]) for name, array in call.columns.items()),
        *(
            (name, value.tobytes() if isinstance(value, np.ndarray) else value)
            for name, value in call.shared.items()
        ),
    )


def join(calls: list[Call]) -> Call:
    """Return one call with the rows of several of one group."""
    if len(calls) == 1:
        return calls[0]
    first = calls[0]
    columns = {
        name: np.concatenate([call.columns[name] for call in calls]) for name in first.columns
    }
    return first._replace(columns=columns)

"""Values from JSON as frozen dataclasses, whose annotations say what each value is to be."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

_T = TypeVar("_T")


def build(kind: type[_T], content: Mapping[str, Any]) -> _T:
    """Return a dataclass with the values of a JSON object.

    Fields are text, integers, finite numbers, true or false, other dataclasses, tuples of these,
    or one of these or null. What has a default may be missing.

    Raises:
        TypeError: a value is of another kind or missing, or there is one of another name.
    """
    if not isinstance(content, Mapping):
        raise TypeError(f"got {_shorten(content)}, expected an object")
    hints = _hints(kind)  # type: ignore[arg-type]  # mypy holds no class for hashable
    values = {
        name: convert(hints[name], value, name) if name in hints else value
        for name, value in content.items()
    }
    return kind(**values)


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def convert(hint: Any, value: Any, name: str) -> Any:
    """Return a value of JSON as an annotation says; name: of the value in messages.

    Raises:
        TypeError: it is of another kind.
    """
    if get_origin(hint) in (UnionType, Union):
        if value is None:
            return None
        [hint] = set(get_args(hint)) - {NoneType}
    if get_origin(hint) is tuple:
        if not isinstance(value, (list, tuple)):
            raise TypeError(f"{name}: got {_shorten(value)}, expected a list")
        return tuple(convert(get_args(hint)[0], each, name) for each in value)
    if hint is float and type(value) in (int, float):
        if not _is_finite(value):
            raise TypeError(f"{name}: got {_shorten(value)}, expected a finite number")
        return float(value)
    if hasattr(hint, "__dataclass_fields__"):
        return build(hint, value)
    if type(value) is not hint:
        raise TypeError(f"{name}: got {_shorten(value)}, expected {hint.__name__}")
    return value


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond all floats
        return False


def _shorten(value: Any) -> str:
    return type(value).__name__ if isinstance(value, (list, dict)) else ascii(value)[:40]

"""`--fail-if`: the limits beyond which a change ends the command with status 4."""

from __future__ import annotations

import math
from collections.abc import Mapping

from pipeline.compare.measures import MEASURES, Change

DEFAULT = "default"
NAMES = tuple(each.name for each in MEASURES)
DEFAULT_LIMITS = {each.name: each.limit for each in MEASURES if each.limit is not None}


def parse_limits(text: str) -> dict[str, float]:
    """Return the limit of each measure that a text names, as `labels>0.1,unknown>0.01`.

    `default` stands for the usual limits of all measures that have one.

    Raises:
        ValueError: it is of another form; the message is for users.
    """
    if text == DEFAULT:
        return dict(DEFAULT_LIMITS)
    limits: dict[str, float] = {}
    for part in text.split(","):
        name, sign, number = (each.strip() for each in part.partition(">"))
        if name not in NAMES or not sign:
            raise ValueError(f"got {part!r}, expected NAME>NUMBER, with NAME of {', '.join(NAMES)}")
        if name in limits:
            raise ValueError(f"got {text!r}, expected {name} once")
        limits[name] = _parse_number(number, part)
    return limits


def _parse_number(number: str, part: str) -> float:
    try:
        limit = float(number)
    except ValueError:
        limit = math.nan
    if not 0 <= limit < math.inf:
        raise ValueError(f"got {part!r}, expected a number of 0 or more after >")
    return limit


def find_unknown(changes: Mapping[str, Change], limits: Mapping[str, float]) -> list[str]:
    """Return the measures with a limit whose change is not known."""
    return [name for name in limits if changes[name].value is None]


def find_exceeded(changes: Mapping[str, Change], limits: Mapping[str, float]) -> dict[str, float]:
    """Return the limits that changes are beyond, by name."""
    return {
        name: limit
        for name, limit in limits.items()
        if (value := changes[name].value) is not None and value > limit
    }

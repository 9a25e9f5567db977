"""Numbers as text, in pages and in charts."""

from __future__ import annotations

import math
from typing import TypeGuard


def format_number(number: int) -> str:
    """Return a count with thousands separators."""
    return f"{number:,}"


def format_plural(number: int, noun: str) -> str:
    """Return a count and its noun, as `1 row` or `2 rows`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def format_range(first: int, last: int) -> str:
    """Return `7` or `8–14`."""
    return f"{last:,}" if first == last else f"{first:,}–{last:,}"


def format_share(part: float, whole: float = 1) -> str:
    """Return `part` of `whole` in percent; 0 % and 100 % only where they are exact."""
    if part in (0, whole):
        return "100 %" if part else "0 %"
    percent = 100 * part / whole
    if percent < 0.01:
        return "< 0.01 %"
    if percent > 99.9:
        return "> 99.9 %"
    return f"{percent:.1f} %" if percent >= 1 else f"{percent:.2f} %"


def format_measure(value: float | None) -> str:
    """Return a measure in about four digits, or – if there is none."""
    if not is_finite(value):
        return "–"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4f}" if abs(value) >= 0.01 or value == 0 else f"{value:.3g}"


def shorten(number: int) -> str:
    """Return a count in few characters: from 10,000 on as `10k`, from 10,000,000 on as `10M`."""
    for unit, name in ((10**6, "M"), (10**3, "k")):
        if number >= 10 * unit:
            return f"{number / unit:.0f}{name}"
    return f"{number:,}"


def is_finite(value: float | None) -> TypeGuard[float]:
    """Return whether there is a value, and neither an infinite one nor NaN."""
    return value is not None and math.isfinite(value)

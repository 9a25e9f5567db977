"""The value of --split: the exact fraction of each split."""

from __future__ import annotations

import math
from fractions import Fraction

from charseq.errors import UsageError
from charseq.flags import require
from charseq.manifest import SPLITS

_MIN_FRACTION = Fraction(1, 1_000_000)
# Shares such as 0.30000000000000004, what a program makes of 0.1 + 0.2, add up to 1.
_MAX_FRACTION_ERROR = Fraction(1, 1_000_000_000)


def parse_split(text: str) -> dict[str, Fraction]:
    """Parse `train=0.8,validation=0.1,test=0.1`; a split that is left out has fraction 0.

    Raises:
        UsageError: a name or number is wrong, train is empty, or the sum is not 1.
    """
    fractions = dict.fromkeys(SPLITS, Fraction(0))
    for part in text.split(","):
        name, _, number = part.strip().partition("=")
        require(name in SPLITS, "--split", text, f"the names {', '.join(SPLITS)}")
        require(not fractions[name], "--split", text, f"{name!r} once")
        fractions[name] = _parse_fraction(part, number)
    total = sum(fractions.values(), Fraction(0))
    nearly_one = abs(total - 1) <= _MAX_FRACTION_ERROR
    require(nearly_one, "--split", text, f"shares that add up to 1, not {float(total):.9g}")
    require(fractions["train"] > 0, "--split", text, "a train share above 0")
    return {name: fraction / total for name, fraction in fractions.items()}


def _parse_fraction(part: str, number: str) -> Fraction:
    """Return the exact value of a share such as 0.8, 8e-1 or 4/5; `part` names it in errors."""
    try:
        # A float first: 1e-999999999 as a fraction would take minutes and gigabytes.
        if "/" not in number and not 0 < abs(float(number)) < math.inf:
            return _parse_zero(part, number)
        fraction = Fraction(number)
    except (ValueError, ZeroDivisionError):
        raise UsageError(f"--split: got {part!r}, expected a number after '='") from None
    require(fraction >= 0, "--split", part, "no negative share")
    in_range = fraction == 0 or _MIN_FRACTION <= fraction <= Fraction(2)
    require(in_range, "--split", part, "a share from 0.000001 to 1, or 0")
    return fraction


def _parse_zero(part: str, number: str) -> Fraction:
    """Return 0 for a number that is 0 as a float, and exactly."""
    digits = number.lower().partition("e")[0]
    is_zero = not any("1" <= digit <= "9" for digit in digits) and float(number) == 0
    require(is_zero, "--split", part, "a share from 0.000001 to 1, or 0")
    return Fraction(0)

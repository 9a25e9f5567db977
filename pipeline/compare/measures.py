"""How far the rows of one profile are from those of another."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from charseq.console.messages import name_first
from charseq.html.formats import format_share
from charseq.manifest import OUTSIDE
from pipeline.compare.profile import Profile

Key = TypeVar("Key", bound=Hashable)
Floats = npt.NDArray[np.float64]

_MAX_NAMED = 5
_SHOWN_CHARACTERS = 40


class Measure(NamedTuple):
    """A measure of change: its name in --fail-if, its usual limit if any, and what it is."""

    name: str
    limit: float | None
    meaning: str


MEASURES = (
    Measure("labels", 0.1, "Jensen-Shannon divergence of the labels, 0 to 1"),
    Measure("label-change", 0.1, "the largest change of the share of a label"),
    Measure("new-labels", 0.02, "share of the second's rows with a label that the first lacks"),
    Measure("gone-labels", 0.1, "share of the first's rows with a label that the second lacks"),
    Measure("characters", 0.1, "Jensen-Shannon divergence of the characters, 0 to 1"),
    Measure("unknown", 0.01, "how much more of the text is outside the alphabet of the first"),
    Measure("lengths", 0.1, "Jensen-Shannon divergence of the lengths, 0 to 1"),
    Measure("duplicates", None, "change of the share of rows that repeat another"),
    Measure("rejected", 0.05, "change of the share of rows that cannot be used"),
)
# Reasons that are of the rows, and not of options that the first alone has.
_LABEL_REASONS: tuple[str, ...] = ("missing_label", "line_break", "label_not_text")
_REASONS: tuple[str, ...] = (
    *("broken_quoting", "wrong_number_of_fields", "repeated_header", "invalid_json"),
    *("invalid_utf8", "empty_sequence", "too_long"),
)
# Of differences of shares, what samples of one distribution hardly show is left out.
_STANDARD_ERRORS = 3


class Change(NamedTuple):
    """A measure's value, None where a profile does not tell, and what changed most, as text."""

    value: float | None
    about: str = ""


NOT_KNOWN = Change(None)


def measure(first: Profile, second: Profile, alphabet: Iterable[str]) -> dict[str, Change]:
    """Return the change of each of MEASURES, by name.

    alphabet: of the first.
    """
    changes = {each.name: NOT_KNOWN for each in MEASURES}
    if not first.rows or not second.rows:
        return changes
    reasons = _REASONS
    if first.labels is not None and second.labels is not None:
        changes |= _label_changes(first.labels, second.labels)
        reasons += _LABEL_REASONS
    known = tuple(alphabet)
    characters, others = (each.characters_in(known) for each in (first, second))
    if characters is not None and others is not None:
        divergence = jensen_shannon(characters, others)
        changes["characters"] = Change(divergence, _largest_change(characters, others)[1])
        before, after = (_share(OUTSIDE, counts) for counts in (characters, others))
        changes["unknown"] = Change(max(after - before, 0.0), _from_to(before, after))
    changes["lengths"] = Change(
        jensen_shannon(first.lengths, second.lengths),
        f"mean {_mean(first.lengths):.1f} to {_mean(second.lengths):.1f}",
    )
    if first.duplicates is not None and second.duplicates is not None:
        changes["duplicates"] = _change_of_share(first.duplicates, second.duplicates)
    changes["rejected"] = _change_of_share(
        *(profile.share_rejected(reasons) for profile in (first, second))
    )
    return changes


def _change_of_share(before: float, after: float) -> Change:
    return Change(abs(after - before), _from_to(before, after))


def _label_changes(first: Mapping[str, int], second: Mapping[str, int]) -> dict[str, Change]:
    return {
        "labels": Change(jensen_shannon(first, second)),
        "label-change": Change(*_largest_change(first, second)),
        "new-labels": Change(share_of_new(second, first), _name_new(second, first)),
        "gone-labels": Change(share_of_new(first, second), _name_new(first, second)),
    }


def jensen_shannon(first: Mapping[Key, int], second: Mapping[Key, int]) -> float:
    """Return the Jensen-Shannon divergence of two distributions that were counted, in bits, 0 to 1.

    That is less what samples of m and n rows of one distribution of k values show on average,
    (k - 1) (1 / m + 1 / n) / (8 ln 2), so that few rows and many values are no change (Grosse et
    al. 2002, Analysis of symbolic sequences using the Jensen-Shannon divergence).
    """
    counts = _side_by_side(first, second)
    totals = counts.sum(axis=1, keepdims=True)
    shares = counts / totals
    divergence = _entropy(shares.mean(axis=0)) - (_entropy(shares[0]) + _entropy(shares[1])) / 2
    by_chance = (counts.shape[1] - 1) * float((1 / totals).sum()) / (8 * math.log(2))
    return max(float(divergence - by_chance), 0.0)


def largest_change(first: Mapping[Key, int], second: Mapping[Key, int]) -> tuple[Key, float]:
    """Return the value whose share differs most, of equal ones the first, and the difference.

    That is less three standard errors of the difference in samples of one distribution, so that few
    rows are no change.
    """
    counts = _side_by_side(first, second)
    totals = counts.sum(axis=1, keepdims=True)
    shares = counts / totals
    pooled = counts.sum(axis=0) / counts.sum()
    errors = np.sqrt(pooled * (1 - pooled) * (1 / totals).sum())
    differences = np.maximum(np.abs(shares[1] - shares[0]) - _STANDARD_ERRORS * errors, 0)
    place = int(differences.argmax())
    return list(dict.fromkeys([*first, *second]))[place], float(differences[place])


def _largest_change(first: Mapping[str, int], second: Mapping[str, int]) -> tuple[float, str]:
    """Return the largest change of a share, and which it is, as text."""
    name, difference = largest_change(first, second)
    shown = "outside the alphabet" if name == OUTSIDE else _show(name)
    return difference, f"{shown}: {_from_to(_share(name, first), _share(name, second))}"


def share_of_new(counts: Mapping[Key, int], known: Mapping[Key, int]) -> float:
    """Return the share of `counts` whose value is not in `known`.

    That is less the share to be expected if both are of one distribution: that of the values that
    `known` holds once (Good 1953, after Turing).
    """
    new = sum(rows for value, rows in counts.items() if value not in known) / sum(counts.values())
    expected = sum(rows == 1 for rows in known.values()) / sum(known.values())
    return max(new - expected, 0.0)


def _name_new(counts: Mapping[str, int], known: Mapping[str, int]) -> str:
    new = sorted((-rows, value) for value, rows in counts.items() if value not in known)
    return name_first([f"{_show(value)} ({-rows:,})" for rows, value in new], _MAX_NAMED)


def _show(name: str) -> str:
    return repr(name if len(name) <= _SHOWN_CHARACTERS else f"{name[:_SHOWN_CHARACTERS]}…")


def _share(key: Key, counts: Mapping[Key, int]) -> float:
    return counts.get(key, 0) / sum(counts.values())


def _from_to(before: float, after: float) -> str:
    return f"{format_share(before)} to {format_share(after)}"


def _mean(lengths: Mapping[int, int]) -> float:
    return sum(length * rows for length, rows in lengths.items()) / sum(lengths.values())


def _side_by_side(first: Mapping[Key, int], second: Mapping[Key, int]) -> Floats:
    """Return the counts of all values of both, (2, values)."""
    values = dict.fromkeys([*first, *second])
    counts = [[of_one.get(value, 0) for value in values] for of_one in (first, second)]
    return np.array(counts, np.float64)


def _entropy(shares: Floats) -> float:
    """Return the entropy of shares (values,), in bits."""
    positive = shares[shares > 0]
    return float(-(positive * np.log2(positive)).sum())

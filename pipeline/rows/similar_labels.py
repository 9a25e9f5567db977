"""Labels that are probably one label, or none: other spellings, typing errors, missing values."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import groupby
from typing import NamedTuple

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_QUOTES = "\"'`´‘’“”„«»"
_MISSING = frozenset({"nan", "null", "none", "na", "n/a", r"\n"})
# A typing error is rare: of two labels one edit apart, the rarer has less than this of the rows.
_TYPING_ERROR_SHARE = 0.01
# In shorter labels one edit is most of the label, and longer ones have many neighbours.
_LEAST_TYPED, _MOST_TYPED = 3, 100
# The most frequent labels that become one text are enough: no need for all of many.
_MOST_COMPARED = 3

# Grades, years and codes of regions are fewer.
_MOST_NUMBERS = 200
AMOUNTS = (
    "all labels are numbers, and each is a class of its own, as this is classification; to predict "
    "an amount, give ranges of it as labels"
)


class SimilarLabels(NamedTuple):
    """Two labels with their rows, the one with fewer rows first."""

    label: str
    rows: int
    other: str
    other_rows: int


def are_amounts(labels: Sequence[str]) -> bool:
    """Return whether labels are more than some 200 numbers, such as 1, -0.5 and 1e-3."""
    return len(labels) > _MOST_NUMBERS and all(map(_NUMBER.fullmatch, labels))


def find_missing(rows: Mapping[str, int]) -> dict[str, int]:
    """Return the labels that read like a missing value, with their rows."""
    return {label: count for label, count in rows.items() if label.casefold() in _MISSING}


def find_same_numbers(rows: Mapping[str, int]) -> list[SimilarLabels]:
    """Return labels that are the same number, such as 1, 1.0 and 01."""
    return _find_equal(rows, _number_key)


def find_same_spellings(rows: Mapping[str, int]) -> list[SimilarLabels]:
    """Return labels that differ only in case, quotes, spaces, or the form of characters."""
    return _find_equal(rows, _spelling_key)


def _number_key(label: str) -> str | None:
    return str(Decimal(label).normalize() + 0) if _NUMBER.fullmatch(label) else None


def _spelling_key(label: str) -> str | None:
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", label).casefold())
    # Characters that only format, such as a soft hyphen, are not seen.
    text = "".join(c for c in text if unicodedata.category(c) != "Cf" and c not in _QUOTES)
    return " ".join(text.split()) or None


def _find_equal(
    rows: Mapping[str, int], key_of: Callable[[str], str | None]
) -> list[SimilarLabels]:
    """Return each label with the most frequent label of the same key, the most rows first."""
    keys = [(key, label) for label in rows if (key := key_of(label)) is not None]
    found = []
    for _, group in groupby(sorted(keys), key=lambda item: item[0]):
        first, *others = sorted(
            (label for _, label in group), key=lambda label: _order(label, rows)
        )
        found += [SimilarLabels(label, rows[label], first, rows[first]) for label in others]
    return _most_rows_first(found)


def find_typing_errors(rows: Mapping[str, int]) -> list[SimilarLabels]:
    """Return rare labels that are one edit from a frequent one, each with the most frequent.

    An edit inserts, deletes or replaces a character, or swaps two neighbours; one among digits is
    none: class1 and class2 are two classes. Two labels one edit apart are equal after one deletion
    in each or one of them, so only labels that share such a text are compared.
    """
    labels_of = _index_frequent(rows)
    found = []
    for label, count in rows.items():
        near = {other for text in _deletions(label) for other in labels_of.get(text, ())}
        others = [
            other
            for other in near
            if count < _TYPING_ERROR_SHARE * rows[other] and _is_one_edit(label, other)
        ]
        if others:
            other = min(others, key=lambda each: _order(each, rows))
            found.append(SimilarLabels(label, count, other, rows[other]))
    return _most_rows_first(found)


def _index_frequent(rows: Mapping[str, int]) -> dict[str, list[str]]:
    """Return by text the labels that become it by a deletion, the most frequent few of them.

    Labels that no other is rare beside are left out.
    """
    least = min(rows.values(), default=0)
    labels_of: dict[str, list[str]] = defaultdict(list)
    for label in sorted(rows, key=lambda label: _order(label, rows)):
        if least >= _TYPING_ERROR_SHARE * rows[label]:
            break
        for text in _deletions(label):
            if len(labels_of[text]) < _MOST_COMPARED:
                labels_of[text].append(label)
    return labels_of


def _deletions(label: str) -> set[str]:
    """Return a label, and it without each one of its characters; nothing of a short one."""
    if not _LEAST_TYPED <= len(label) <= _MOST_TYPED:
        return set()
    return {label, *(label[:i] + label[i + 1 :] for i in range(len(label)))}


def _is_one_edit(label: str, other: str) -> bool:
    """Return whether two different labels are one edit apart that is not among digits only."""
    start = next(_different(label, other), min(len(label), len(other)))
    rest, other_rest = label[start:], other[start:]
    end = next(_different(rest[::-1], other_rest[::-1]), min(len(rest), len(other_rest)))
    changed, other_changed = rest[: len(rest) - end], other_rest[: len(other_rest) - end]
    if (changed + other_changed).isdigit():
        return False
    is_swap = len(changed) == len(other_changed) == 2 and changed == other_changed[::-1]
    return is_swap or max(len(changed), len(other_changed)) == 1


def _different(label: str, other: str) -> Iterator[int]:
    return (i for i, (a, b) in enumerate(zip(label, other, strict=False)) if a != b)


def _order(label: str, rows: Mapping[str, int]) -> tuple[int, str]:
    return -rows[label], label


def _most_rows_first(pairs: Iterable[SimilarLabels]) -> list[SimilarLabels]:
    return sorted(pairs, key=lambda pair: (-pair.other_rows, pair.other, -pair.rows, pair.label))

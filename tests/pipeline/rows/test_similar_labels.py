"""Labels that are probably one label, or none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.rows import similar_labels
from pipeline.rows.similar_labels import (
    SimilarLabels,
    find_missing,
    find_same_numbers,
    find_same_spellings,
    find_typing_errors,
)

pytestmark = pytest.mark.unit


def test_labels_that_read_like_missing_values() -> None:
    rows = {"NaN": 1, "nan": 2, "NULL": 3, "None": 4, "na": 5, "n/A": 6, "nano": 7, "": 8, "no": 9}
    assert find_missing(rows) == {"NaN": 1, "nan": 2, "NULL": 3, "None": 4, "na": 5, "n/A": 6}


def test_labels_that_are_the_same_number() -> None:
    rows = {"1": 30, "01": 2, "1.0": 30, "1e0": 1, "0": 9, "-0.0": 4, "2": 5, "1a": 7, "١": 8}
    assert find_same_numbers(rows) == [
        SimilarLabels("1.0", 30, "1", 30),
        SimilarLabels("01", 2, "1", 30),
        SimilarLabels("1e0", 1, "1", 30),
        SimilarLabels("-0.0", 4, "0", 9),
    ]
    assert find_same_numbers({"1e999": 1, "1e998": 1, "1e99999": 1, ".": 1, "nan": 2}) == []


def test_labels_that_are_the_same_but_for_case_quotes_or_spaces() -> None:
    rows = {"Yes": 5, "yes": 9, '"yes"': 1, "y es": 3, "a  b": 1, "A b": 2, "ﬁn": 4, "fin": 3}
    rows |= {"so\u00adft": 2, "soft": 6, "STRASSE": 1, "straße": 2, "''": 1, '"': 1}
    assert find_same_spellings(rows) == [
        SimilarLabels("Yes", 5, "yes", 9),
        SimilarLabels('"yes"', 1, "yes", 9),
        SimilarLabels("so\u00adft", 2, "soft", 6),
        SimilarLabels("fin", 3, "ﬁn", 4),
        SimilarLabels("a  b", 1, "A b", 2),
        SimilarLabels("STRASSE", 1, "straße", 2),
    ]


@pytest.mark.parametrize("typed", ["alhpa", "alpa", "alpphaa"[:6], "alpba", "lalpha", "alph"])
def test_a_rare_label_one_edit_from_a_frequent_one(typed: str) -> None:
    rows = {"alpha": 101, "alphas": 99, typed: 1}
    assert SimilarLabels(typed, 1, "alpha", 101) in find_typing_errors(rows)
    assert find_typing_errors({"alpha": 100, typed: 1}) == []


@pytest.mark.parametrize(
    ("label", "other"),
    [
        ("class1", "class2"),
        ("v10", "v1"),
        ("A", "B"),
        ("no", "on"),
        ("abcd", "badc"),
        ("axb", "bxa"),
    ],
)
def test_labels_that_are_two(label: str, other: str) -> None:
    assert find_typing_errors({label: 1, other: 1000}) == []


def is_one_edit(label: str, other: str) -> bool:
    """Return whether an edit of `label` makes `other`, by making all of them."""
    places = range(len(label) + 1)
    edits = {label[:i] + c + label[j:] for i in places for j in (i, i + 1) for c in ("", *other)}
    edits |= {label[:i] + label[i + 1 : i + 2] + label[i : i + 1] + label[i + 2 :] for i in places}
    return other in edits


@given(st.text("abc", min_size=3, max_size=6), st.text("abc", min_size=3, max_size=6))
def test_one_edit_is_found_and_nothing_else(label: str, other: str) -> None:
    if label != other:
        found = find_typing_errors({label: 1, other: 1000})
        assert found == (
            [SimilarLabels(label, 1, other, 1000)] if is_one_edit(label, other) else []
        )


def test_labels_are_never_compared_all_with_all(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []

    def compare(*pair: str) -> bool:
        compared.append(pair)
        return True

    monkeypatch.setattr(similar_labels, "_is_one_edit", compare)
    rows = {f"a{chr(0x4E00 + n)}b": 1 if n < 200 else 1000 for n in range(400)}
    assert len(find_typing_errors(rows)) == 200
    # Each rare one with the three most frequent ones that become "ab" as it does.
    assert len(compared) == 200 * 3


def test_many_labels_that_share_a_text_are_not_compared_with_each_other() -> None:
    rows = {f"a{chr(0x4E00 + n)}b": 1 for n in range(20_000)}
    assert find_typing_errors({**rows, "ab_": 1000, "a_b": 2000}) == [
        SimilarLabels(label, 1, "a_b", 2000) for label in sorted(rows)
    ]

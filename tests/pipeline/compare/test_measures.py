"""Measures of change: literal values, and samples of one distribution that are no change."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.compare.limits import (
    DEFAULT_LIMITS,
    NAMES,
    find_exceeded,
    find_unknown,
    parse_limits,
)
from pipeline.compare.measures import (
    Change,
    jensen_shannon,
    largest_change,
    measure,
    share_of_new,
)
from pipeline.compare.profile import Profile

pytestmark = pytest.mark.unit

# Stands for a float in a dataclass.
approx: Any = pytest.approx

FIRST = Profile(
    rows=1_000_000,
    labels={"x": 600_000, "y": 400_000},
    lengths={1: 500_000, 3: 500_000},
    characters={"A": 1_500_000, "B": 480_000, "": 20_000},
    duplicates=0.25,
    rejected={"zero_weight": 7_000_000},
    read_with=8_000_000,
)
SECOND = Profile(
    rows=1_000_000,
    labels={"x": 300_000, "z": 700_000},
    lengths={1: 500_000, 3: 500_000},
    characters={"A": 1_500_000, "é": 400_000, "B": 80_000, "": 20_000},
    duplicates=0.5,
    rejected={"empty_sequence": 1_000_000, "zero_weight": 500_000, "missing_label": 1_000_000},
    read_with=16_500_000,
)
COUNTS = st.dictionaries(st.integers(0, 9), st.integers(1, 10**6), min_size=1)


def test_each_measure_computed_by_hand() -> None:
    changes = measure(FIRST, SECOND, ["A", "B"])
    values = {name: change.value for name, change in changes.items()}
    assert values == {
        # x .6 .3, y .4 0, z 0 .7; their means .45, .2, .35
        "labels": pytest.approx(0.58677, abs=1e-5),
        # Three standard errors of a share of .35 in samples of a million are .002.
        "label-change": pytest.approx(0.69798, abs=1e-5),
        "new-labels": pytest.approx(0.7),
        "gone-labels": pytest.approx(0.4),
        # A .75 .75, B .24 .04, outside .01 .21
        "characters": pytest.approx(0.1387, abs=1e-3),
        "unknown": pytest.approx(0.2),
        "lengths": 0.0,
        "duplicates": 0.25,
        "rejected": 0.125,
    }
    assert changes["label-change"].about == "'z': 0 % to 70.0 %"
    assert changes["new-labels"].about == "'z' (700,000)"
    assert changes["gone-labels"].about == "'y' (400,000)"
    assert changes["unknown"].about == "1.0 % to 21.0 %"
    assert changes["lengths"].about == "mean 2.0 to 2.0"


def test_what_a_profile_does_not_tell_is_not_known() -> None:
    second = replace(SECOND, labels=None, duplicates=None)
    changes = measure(replace(FIRST, characters=None), second, ["A", "B"])
    known = [name for name, change in changes.items() if change.value is not None]
    assert known == ["lengths", "rejected"]
    assert list(changes) == list(NAMES)
    assert set(NAMES) - set(DEFAULT_LIMITS) == {"duplicates"}


def test_less_of_the_text_outside_the_alphabet_is_no_change() -> None:
    assert measure(FIRST, replace(SECOND, characters={"A": 5}), ["A", "B"])["unknown"].value == 0


@given(COUNTS, COUNTS)
def test_the_divergence_is_symmetric_and_from_0_to_1(
    first: dict[int, int], second: dict[int, int]
) -> None:
    divergence = jensen_shannon(first, second)
    assert 0 <= divergence <= 1
    assert divergence == pytest.approx(jensen_shannon(second, first))
    assert jensen_shannon(first, first) == 0


def test_divergence_of_nothing_in_common_is_1_but_for_chance() -> None:
    chance = 1 * (1 / 1000 + 1 / 4000) / (8 * math.log(2))
    assert jensen_shannon({"x": 1000}, {"y": 4000}) == pytest.approx(1 - chance)


def test_the_value_of_the_largest_change() -> None:
    half = {"x": 10**9, "y": 10**9}
    assert largest_change({"x": 3 * 10**9, "y": 10**9}, half) == ("x", approx(0.25, abs=1e-4))
    assert largest_change(half, {"x": 10**9, "z": 10**9}) == ("y", approx(0.5, abs=1e-4))


def test_few_rows_are_no_change_of_a_label() -> None:
    assert largest_change({"x": 500, "y": 500}, {"x": 1})[1] == 0
    # 1 - 1 / 2 less three standard errors of 20 rows beside 1,000
    assert largest_change({"x": 500, "y": 500}, {"x": 20})[1] == approx(0.5 - 3 * 0.1129, abs=1e-3)


def test_without_a_row_nothing_is_known() -> None:
    changes = measure(FIRST, replace(SECOND, rows=0, lengths={}), ["A", "B"])
    assert {change.value for change in changes.values()} == {None}


def test_labels_do_not_count_as_missing_where_they_are_not_read() -> None:
    reasons = measure(FIRST, replace(SECOND, labels=None), ["A", "B"])["rejected"]
    assert reasons == Change(approx(1 / 15), "0 % to 6.7 %")


def test_new_values_are_those_beyond_what_rare_ones_let_expect() -> None:
    assert share_of_new({"x": 6, "z": 4}, {"x": 10}) == 0.4
    # One of ten rows was the only one of its value.
    assert share_of_new({"x": 6, "z": 4}, {"x": 9, "y": 1}) == pytest.approx(0.3)
    assert share_of_new({"x": 1}, {"x": 1, "y": 1}) == 0


def profile_of(rng: np.random.Generator, rows: int) -> Profile:
    """Return a profile of random rows: 64 labels, words of a skewed alphabet of 300 letters."""
    labels = rng.zipf(1.3, rows) % 64
    lengths = np.minimum(rng.poisson(9, rows) + 1, 31)
    letters = rng.zipf(1.2, int(lengths.sum())) % 300
    return Profile(
        rows,
        dict(Counter(map(str, labels.tolist()))),
        dict(Counter(lengths.tolist())),
        dict(Counter(map(chr, (letters + 100).tolist()))),
        float(rng.binomial(rows, 0.1) / rows),
        {"invalid_utf8": int(rng.binomial(rows, 0.01))},
        rows,
    )


@pytest.mark.parametrize("rows", [1_000, 10_000])
def test_samples_of_one_distribution_are_within_the_default_limits(rows: int) -> None:
    rng = np.random.default_rng(rows)
    exceeded = 0
    for _ in range(100):
        first, second = profile_of(rng, rows), profile_of(rng, rows)
        changes = measure(first, second, first.characters or ())
        exceeded += bool(find_exceeded(changes, DEFAULT_LIMITS))
    assert exceeded <= 1


def test_limits_are_parsed_and_exceeded() -> None:
    limits = parse_limits("labels>0.1, unknown > 1e-2,rejected>0")
    assert limits == {"labels": 0.1, "unknown": 0.01, "rejected": 0.0}
    assert parse_limits("default") == DEFAULT_LIMITS
    changes = {"labels": Change(0.1), "unknown": Change(None), "rejected": Change(0.001)}
    assert find_exceeded(changes, limits) == {"rejected": 0.0}
    assert find_unknown(changes, limits) == ["unknown"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "got '', expected NAME>NUMBER, with NAME of labels, label-change"),
        ("label>0.1", "got 'label>0.1', expected NAME>NUMBER"),
        ("labels=0.1", "got 'labels=0.1', expected NAME>NUMBER"),
        ("labels>0.1,", "got '', expected NAME>NUMBER"),
        ("labels>x", "got 'labels>x', expected a number of 0 or more after >"),
        ("labels>-1", "got 'labels>-1', expected a number of 0 or more after >"),
        ("labels>nan", "got 'labels>nan', expected a number of 0 or more after >"),
        ("labels>0.1,labels>0.2", "expected labels once"),
    ],
)
def test_other_limits_are_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("|", r"\|")):
        parse_limits(text)

"""Columns of text normalized, and the counts of what was changed."""

from __future__ import annotations

import unicodedata
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charseq.text.normalization import BLANKS, Normalization
from pipeline.rows.normalizing import (
    NormalizedCounts,
    add_normalized,
    count_changed,
    cut_column,
    describe_normalized,
    least_hashes,
    normalize_column,
)

pytestmark = pytest.mark.unit

ALL = Normalization(nfc=True, lowercase=True, strip=True)
NONE = Normalization(nfc=False, lowercase=False, strip=False)


def column(*texts: str) -> pa.StringArray:
    return pa.array(texts, pa.string())


def test_each_step_and_what_it_changed() -> None:
    normalized = normalize_column(column(" A", "a", "e\u0301\xa0", "B\xe9", "\ufeff"), ALL)
    assert normalized.text.to_pylist() == ["a", "a", "\xe9", "b\xe9", ""]
    assert {step: changed.tolist() for step, changed in normalized.changed.items()} == {
        "nfc": [False, False, True, False, False],
        "lowercase": [True, False, False, True, False],
        "strip": [True, False, True, False, True],
    }
    assert normalized.is_changed().tolist() == [True, False, True, True, True]


def test_steps_that_are_not_wanted_or_change_nothing_are_not_named() -> None:
    texts = column(" A", "e\u0301", "\xe9")
    assert normalize_column(texts, NONE) == (texts, {})
    assert normalize_column(column("a", "\xe9"), ALL).changed == {}
    assert not normalize_column(column("a"), ALL).is_changed().any()


TEXTS = st.lists(st.text("aA\xe9e\u0301\u0345ΣI" + BLANKS[5:12] + "\ufeff", max_size=6))


@given(TEXTS, st.booleans(), st.booleans(), st.integers(0, 2))
def test_a_column_is_normalized_as_python_does(
    texts: list[str], nfc: bool, strip: bool, start: int
) -> None:
    normalization = Normalization(nfc, False, strip)
    expected = [unicodedata.normalize("NFC", text) if nfc else text for text in texts]
    expected = [text.strip(BLANKS) if strip else text for text in expected]
    # A slice, because Arrow's kernels must not look at the rows before it.
    normalized = normalize_column(column(*texts)[start:], normalization)
    assert normalized.text.to_pylist() == expected[start:]
    again = normalize_column(normalized.text, normalization)
    assert again.changed == {} or not strip


def test_a_cut_leaves_no_blank_at_the_end() -> None:
    texts = column("ab cd", "a  bc", "abc", "A\u200b\u200bd")
    strip = Normalization(nfc=True, lowercase=True, strip=True)
    assert cut_column(texts, 3, strip).to_pylist() == ["ab", "a", "abc", "A"]
    assert cut_column(texts, 3, NONE).to_pylist() == ["ab ", "a  ", "abc", "A\u200b\u200b"]


def counts(sequences: Counter[str], hashes: list[int]) -> NormalizedCounts:
    return NormalizedCounts(sequences, Counter(strip=1), {"nfc": np.array(hashes, np.uint64)})


def test_counts_of_blocks_are_added() -> None:
    total = add_normalized([counts(Counter(nfc=2), [5, 9]), counts(Counter(nfc=1, strip=3), [5])])
    assert total.to_json() == {"sequence": {"nfc": 3, "strip": 3}, "label": {"strip": 2}}
    assert total.parity_hashes().tolist() == [5, 9]
    assert add_normalized([]).to_json() == {}
    assert add_normalized([]).parity_hashes().tolist() == []


def test_the_least_hashes_do_not_depend_on_the_blocks() -> None:
    hashes = np.random.default_rng(0).integers(0, 2**63, 500).astype(np.uint64)
    changed = {"nfc": hashes % np.uint64(2) == 0}
    whole = least_hashes(changed, hashes)["nfc"]
    blocks = [
        NormalizedCounts(least_hashes={**least_hashes({"nfc": changed["nfc"][at]}, hashes[at])})
        for at in (slice(0, 3), slice(3, 300), slice(300, 500))
    ]
    for order in (blocks, blocks[::-1]):
        assert add_normalized(order).parity_hashes().tolist() == whole.tolist()
    assert len(whole) == 32
    assert set(whole.tolist()) <= set(hashes[changed["nfc"]].tolist())


def test_changed_values_are_counted_and_described() -> None:
    assert count_changed({"strip": np.array([True, False, True])}) == Counter(strip=2)
    assert describe_normalized({}) == ""
    assert describe_normalized(
        {"sequence": {"nfc": 1200, "lowercase": 1}, "label": {"strip": 2}}
    ) == (
        "1,200 sequences were changed by NFC, 1 sequence was changed by --lowercase, "
        "2 labels were changed by --strip"
    )

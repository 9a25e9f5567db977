"""Texts normalized and cut one by one, against whole columns in the pipeline."""

from __future__ import annotations

import itertools

import pyarrow as pa
import pytest

from charseq.text.normalization import Normalization
from charseq.text.sequences import cut, normalize
from pipeline.rows.normalizing import cut_column, normalize_column

TEXTS = [
    *("abc", " abc ", "ABC", "abcde f", "ab   cdefg", "\u200babc\ufeff", "\u3000", "a\0", "\0a\0B"),
    *(
        "e\u0301",
        "É\u0301",
        "ΟΔΟΣ",
        "İstanbul",
        "ẞ",
        "J\u030c",
        "😀😀😀😀😀😀",
        "\u0130\u0307",
        "ｱ b",
    ),
    *("ẖ", "H\u0331", "\u1e9e\u0331", "ΑΣ ", "\tx\u00a0", "e" + "\u0301" * 7, "abcd\u2060\u2060ef"),
]


@pytest.mark.parametrize("steps", itertools.product([False, True], repeat=3))
@pytest.mark.parametrize("max_length", [1, 5, 31])
def test_texts_become_what_a_preparation_makes_of_them(
    steps: tuple[bool, bool, bool], max_length: int
) -> None:
    normalization = Normalization(*steps)
    column = normalize_column(pa.array(TEXTS), normalization).text
    normalized = normalize(TEXTS, normalization)
    assert normalized == column.to_pylist()
    expected = cut_column(column, max_length, normalization).to_pylist()
    assert cut(normalized, max_length, normalization) == expected


def test_literal_texts() -> None:
    normalization = Normalization(nfc=True, lowercase=True, strip=True)
    assert normalize([" E\u0301AB  CD "], normalization) == ["éab  cd"]
    assert cut(["éab  cd"], 4, normalization) == ["éab"]
    assert normalize([], normalization) == cut([], 4, normalization) == []

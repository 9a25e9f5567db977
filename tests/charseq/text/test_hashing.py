"""The hashes of single texts, against those of whole columns in the pipeline."""

from __future__ import annotations

import random

import numpy as np
import pyarrow as pa
import pytest

from charseq.text.hashing import hash_pairs, hash_text
from pipeline.rows.hashing import hash_sequences
from pipeline.shards.index import hash_pairs as hash_pairs_of_pipeline

pytestmark = pytest.mark.unit

SEEDS = (0, 3, 2**63 - 1)
TEXTS = (
    *("x" * size for size in range(1, 41)),
    *("é" * size for size in range(1, 21)),
    *("😀" * size for size in range(1, 11)),
    *("\0", "a\0", "a", "\0" * 8, "\0" * 9, "abcdefgh", "abcdefghi", " ", "İ", "ẞ\u0301"),
    *("".join(random.Random(n).choices("ab é😀\t", k=1 + n % 12)) for n in range(50)),
)


def test_literal_hashes() -> None:
    assert hash_text("ACDE", 3) == 0xC5640BE0AFD45362
    assert hash_pairs(np.array([0xC5640BE0AFD45362], np.uint64), "one", 3).tolist() == [
        0x4A88EB753761EA5D
    ]


@pytest.mark.parametrize("seed", SEEDS)
def test_hashes_of_texts_are_those_of_the_pipeline(seed: int) -> None:
    expected = hash_sequences(pa.array(TEXTS), seed)
    assert [hash_text(text, seed) for text in TEXTS] == expected.tolist()
    for label in ("a", "drei,é", "😀 and more than eight bytes"):
        pairs = hash_pairs_of_pipeline(expected, pa.array([label] * len(TEXTS)), seed)
        np.testing.assert_array_equal(hash_pairs(expected, label, seed), pairs)

"""The graph that encodes raw text as the preparation does."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import pyarrow as pa
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from charseq.text.normalization import BLANKS
from pipeline.options import Options
from pipeline.rows.normalizing import cut_column, normalize_column
from pipeline.transform.encoding import encode_sequences

pytestmark = pytest.mark.unit

ALPHABET = "a \xe9bσςǰ\u0301\u0307"
Encoded = list[tuple[list[int], int]]


@lru_cache
def graph(options: Options) -> Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
    """Return `encode_sequences` as it is saved."""
    specification = tf.TensorSpec([None], tf.string)
    return tf.function(lambda text: encode_sequences(text, options)).get_concrete_function(  # type: ignore[no-any-return]
        specification
    )


def encode(texts: list[str], options: Options) -> Encoded:
    ids, length = graph(options)(tf.constant(texts, tf.string))
    return list(zip(ids.numpy().tolist(), length.numpy().tolist(), strict=True))


def decode(encoded: Encoded) -> list[str]:
    characters = ["", *ALPHABET, "\ufffd"]
    return ["".join(characters[number] for number in ids) for ids, _ in encoded]


def options(**values: object) -> Options:
    return Options(input=("i",), output="o", alphabet=ALPHABET, max_length=4, **values)  # type: ignore[arg-type]


def test_a_served_text_is_stripped_before_and_after_the_cut() -> None:
    texts = ["\ufeff ab", "ab \xa0 b", "   ", "aaaab", "éa  "]
    assert encode(texts, options()) == [
        ([1, 4, 0, 0], 2),
        ([1, 4, 0, 0], 2),
        ([0, 0, 0, 0], 0),
        ([1, 1, 1, 1], 4),
        ([3, 1, 0, 0], 2),
    ]
    kept = [([10, 2, 1, 4], 4), ([1, 4, 2, 10], 4), ([2, 2, 2, 0], 3)]
    assert encode(texts[:3], options(strip=False)) == kept


def test_a_served_text_is_lowercased_where_wanted() -> None:
    assert encode(["AÉ"], options(lowercase=True)) == [([1, 3, 0, 0], 2)]
    assert encode(["AÉ"], options()) == [([10, 10, 0, 0], 2)]


def test_a_decomposed_letter_is_never_another_letter() -> None:
    accent = Options(input=("i",), output="o", alphabet="a\xe9", max_length=4)
    assert encode(["e\u0301"], accent) == [([3, 3, 0, 0], 2)]


def test_bytes_that_are_not_utf8_are_unknown_beside_any_other_row() -> None:
    wrong = [b"a\xfcb", b"\x80\x80", b"aaaa\xff"]
    expected = [([1, 10, 4, 0], 3), ([10, 10, 0, 0], 2), ([1, 1, 1, 1], 4)]
    for beside in ([], [b"ab"], ["\xe9".encode()]):
        ids, length = graph(options())(tf.constant([*wrong, *beside]))
        encoded = zip(ids.numpy().tolist(), length.numpy().tolist(), strict=True)
        assert list(encoded)[:3] == expected


TEXTS = st.lists(
    st.text("aAe\xe9\u0301\u0307BΣİIJ\u030cx" + BLANKS[4:10] + "\u200b\ufeff", max_size=7),
    min_size=1,
)
NORMALIZED = [options(), options(lowercase=True), options(strip=False), options(normalize="none")]


@pytest.mark.parametrize("wanted", NORMALIZED)
@given(texts=TEXTS)
def test_what_is_decoded_is_encoded_alike(wanted: Options, texts: list[str]) -> None:
    nfc = wanted.normalization.before_graph
    encoded = encode(nfc(texts), wanted)
    assert encode(nfc(decode(encoded)), wanted) == encoded


@pytest.mark.parametrize("wanted", NORMALIZED)
@given(texts=TEXTS)
def test_the_graph_and_the_preparation_normalize_alike(wanted: Options, texts: list[str]) -> None:
    normalized = normalize_column(pa.array(texts, pa.string()), wanted.normalization).text
    prepared = cut_column(normalized, wanted.num_positions, wanted.normalization).to_pylist()
    assert encode(prepared, wanted) == encode(wanted.normalization.before_graph(texts), wanted)

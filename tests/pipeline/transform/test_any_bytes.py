"""Any bytes in any batch: what a row becomes depends on that row alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.options import Options
from pipeline.transform.encoding import encode_sequences

pytestmark = pytest.mark.unit

# Beginnings, ends and middles of characters, overlong and surrogate forms, blanks, capitals.
PIECES = (
    *(b"A", b"c", b"\x80", b"\xfc", b"\xff", b"\xe2\x82", b"\xe2\x82\xac", b"\xed\xa0\x80"),
    *(b"\xf0\x9f\x98", b"\xc3\xa9", b"\xc0\x80", b"\xf4\x90\x80\x80", b" ", b"\xe2\x80\x8b"),
    *(b"\xc4\xb0", b"\0", b"J\xcc\x8c"),
)
TEXTS = st.one_of(st.binary(max_size=12), st.lists(st.sampled_from(PIECES)).map(b"".join))
Rows = list[tuple[tuple[int, ...], int]]


def encoder(*, lowercase: bool, strip: bool) -> Callable[[Sequence[bytes]], Rows]:
    options = Options(
        input=("a",),
        output="o",
        alphabet="ac€é",
        max_length=6,
        lowercase=lowercase,
        strip=strip,
    )
    graph = tf.function(
        lambda text: encode_sequences(text, options),
        input_signature=[tf.TensorSpec([None], tf.string)],
    )

    def encode(texts: Sequence[bytes]) -> Rows:
        ids, lengths = graph(tf.constant(texts))
        return [
            (tuple(row), length)
            for row, length in zip(ids.numpy().tolist(), lengths.numpy().tolist(), strict=True)
        ]

    return encode


ENCODERS = [
    encoder(lowercase=lowercase, strip=strip)
    for lowercase in (False, True)
    for strip in (False, True)
]


@settings(max_examples=200, deadline=None)
@example([b"ACDE", b"M\xfcller"])
@example([b"\x80\x80ac", "é".encode()])
@given(st.lists(TEXTS, min_size=1, max_size=5))
def test_a_row_is_the_same_beside_any_others(texts: list[bytes]) -> None:
    for encode in ENCODERS:
        assert encode(texts) == [encode([text])[0] for text in texts]


@settings(max_examples=200, deadline=None)
@given(TEXTS)
def test_bytes_that_are_not_utf8_are_unknown_characters(text: bytes) -> None:
    """As many as Unicode recommends: one for each byte that begins none, or for a torn one."""
    decoded = text.decode("utf-8", "replace").encode()
    for encode in ENCODERS:
        assert encode([text]) == encode([decoded])


def test_each_wrong_byte_is_one_unknown_character() -> None:
    expected = [((5, 5, 1, 2, 0, 0), 4), ((1, 5, 2, 0, 0, 0), 3)]
    for encode in ENCODERS:
        assert encode([b"\x80\x80ac", b"a\xe2\x82c"]) == expected

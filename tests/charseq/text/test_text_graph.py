"""Lowercase and strip as TensorFlow does them."""

from __future__ import annotations

import os
import subprocess
import sys
import unicodedata

import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from charseq.text.normalization import BLANKS
from charseq.text.text_graph import is_blank, lowercase, strip, strip_and_cut

pytestmark = pytest.mark.unit

MIXED = "aAZ\xe9\xc9ΣσςİIıßẞ" + BLANKS
# Letters whose uppercase composes with fewer marks, and the marks.
MARKED = "JjHhTtWwYyΑΗΙΥΡΩΆΉΏΪΫ\u0300\u0301\u0308\u030a\u030c\u0313\u0331\u0342\u0345"


def run(function: tf.types.experimental.GenericFunction, texts: list[str], *more: int) -> list[str]:
    return [text.decode() for text in function(tf.constant(texts, tf.string), *more).numpy()]


@given(st.lists(st.text(MIXED, max_size=5), min_size=1))
def test_strip_removes_blanks_at_both_ends_only(texts: list[str]) -> None:
    assert run(strip, texts) == [text.strip(BLANKS) for text in texts]


@given(st.lists(st.text(MIXED, max_size=5), min_size=1))
def test_strip_and_cut_leaves_no_blank_at_the_cut(texts: list[str]) -> None:
    expected = [text.strip(BLANKS)[:3].strip(BLANKS) for text in texts]
    assert run(strip_and_cut, texts, 3) == expected


def test_every_blank_is_known() -> None:
    code_points = tf.constant([*map(ord, BLANKS), ord("a"), 0, ord("\u200c")], tf.int64)
    assert is_blank(code_points).numpy().tolist() == [True] * len(BLANKS) + [False] * 3


def test_lowercase_of_ascii_and_of_unicode() -> None:
    assert run(lowercase, ["AbZ[", "", "É"]) == ["abz[", "", "é"]
    assert run(lowercase, ["AbZ["]) == ["abz["]
    assert run(lowercase, ["ΣΑΣ", "Σ", "İI", "ẞ", "J\u030cA"]) == [
        "σας",
        "σ",
        "i\u0307i",
        "ß",
        "ǰa",
    ]


@given(st.lists(st.text(MIXED + MARKED, max_size=6), min_size=1))
def test_lowercase_twice_is_once(texts: list[str]) -> None:
    once = run(lowercase, [unicodedata.normalize("NFC", text) for text in texts])
    assert run(lowercase, once) == once


def test_lowercase_of_every_letter_and_mark_stays_in_nfc() -> None:
    marks = [mark for mark in map(chr, range(0x300, 0x370)) if unicodedata.combining(mark)]
    upper = [c for c in map(chr, range(sys.maxunicode)) if unicodedata.category(c) in ("Lu", "Lt")]
    pairs = {unicodedata.normalize("NFC", letter + mark) for letter in upper for mark in marks}
    # İ is the only letter whose lowercase ends with a mark.
    texts = sorted(text for text in pairs if not text.startswith("İ"))
    lowered = run(lowercase, texts)
    assert [text for text in lowered if not unicodedata.is_normalized("NFC", text)] == []
    assert len(texts) > 100_000


@pytest.mark.integration
@pytest.mark.parametrize("locale", ["tr_TR.UTF-8", "lt_LT.UTF-8", "az_AZ.UTF-8"])
def test_lowercase_is_the_same_in_every_locale(locale: str) -> None:
    """TensorFlow's own lowercase gives ı for I in Turkish."""
    code = (
        "import sys; import tensorflow as tf; from charseq.text.text_graph import lowercase;"
        "print(ascii([t.decode() for t in lowercase(tf.constant(sys.argv[1:])).numpy()]))"
    )
    texts = ["DIGI", "İX", "ÌÍĨ", "Į\u0301", "J\u0301", "I\u0307"]
    lowered = subprocess.run(
        [sys.executable, "-c", code, *texts],
        env={**os.environ, "LC_ALL": locale},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert lowered.strip() == ascii(["digi", "i\u0307x", "ìíĩ", "į\u0301", "j\u0301", "i\u0307"])

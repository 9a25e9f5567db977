"""Lowercase and strip as TensorFlow graphs: the same in a preparation and in a served model.

Other libraries disagree about final sigma, dotted İ and U+200B, so text that is hashed or encoded
must pass these functions and no others.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

from charseq.text.normalization import BLANKS

if TYPE_CHECKING:
    import tensorflow as tf

_BLANK = "[" + "".join(f"\\x{{{ord(character):X}}}" for character in BLANKS) + "]"
_BLANK_ENDS = f"^{_BLANK}+|{_BLANK}+$"
# TensorFlow lowers by the locale of the process: in Turkish `I` to `ı`, in Lithuanian with dots.
# It has no rule for these once they are lowercase.
_LOCALIZED = {"İ": "i\u0307", "Į": "į", "Ì": "ì", "Í": "í", "Ĩ": "ĩ"}
# Characters whose uppercase is a letter with marks, such as J̌: lowered, it is no longer in NFC.
# Each composes from two characters, the first of which may be one of those before it.
_COMPOSED = "ǰΐΰẖẗẘẙὐὒὔὖᾲᾴᾶᾷῂῄῆῇῒῖῗῢῤῦῧῲῴῶῷ"
# Pairs of a letter with one mark and another mark, which composes first.
_REORDERED = (
    *("\u0125\u0331", "\u021f\u0331", "\u1e23\u0331", "\u1e27\u0331"),
    *("\u1fb3\u0342", "\u1fc3\u0342", "\u1ff3\u0342"),
)
COMPOSITIONS = {
    "".join(chr(int(code, 16)) for code in unicodedata.decomposition(character).split()): character
    for character in _COMPOSED
} | {pair: unicodedata.normalize("NFC", pair) for pair in _REORDERED}
_MARKS = "".join(sorted({pair[1] for pair in COMPOSITIONS}))


def strip(text: tf.Tensor) -> tf.Tensor:
    """Return (batch,) string without `BLANKS` at both ends."""
    import tensorflow as tf

    return tf.strings.regex_replace(text, _BLANK_ENDS, "")


def strip_and_cut(text: tf.Tensor, max_length: int) -> tf.Tensor:
    """Return (batch,) string stripped, cut at `max_length` characters, and stripped again.

    What is not UTF-8 becomes U+FFFD first: `tf.strings.substr` would count it with what is before.
    """
    import tensorflow as tf

    text = tf.strings.unicode_transcode(text, "UTF-8", "UTF-8")
    return strip(tf.strings.substr(strip(text), 0, max_length, unit="UTF8_CHAR"))


def lowercase(text: tf.Tensor) -> tf.Tensor:
    """Return (batch,) string in lowercase, by Unicode's rules for no language in particular.

    Text in NFC stays in NFC, except for capitals with several marks that no script combines.
    """
    import tensorflow as tf

    characters = tf.strings.length(text, "UTF8_CHAR")
    is_ascii = tf.reduce_all(tf.strings.length(text) == characters)
    return tf.cond(is_ascii, lambda: tf.strings.lower(text), lambda: _lowercase_unicode(text))


def _lowercase_unicode(text: tf.Tensor) -> tf.Tensor:
    import tensorflow as tf

    lowered = tf.strings.lower(text)  # ASCII only.
    for upper, lower in _LOCALIZED.items():
        lowered = tf.strings.regex_replace(lowered, upper, lower)
    lowered = tf.cond(
        _any_has(lowered, r"\x00"),
        lambda: _lower_between_nuls(lowered),
        lambda: tf.strings.lower(lowered, encoding="utf-8"),
    )
    return tf.cond(_any_has(lowered, f"[{_MARKS}]"), lambda: _compose(lowered), lambda: lowered)


def _any_has(text: tf.Tensor, pattern: str) -> tf.Tensor:
    """Return whether a pattern matches somewhere in a text of (batch,), () bool.

    In `tf.strings.regex_full_match`, no `.` stands for a byte that is not UTF-8.
    """
    import tensorflow as tf

    without = tf.strings.regex_replace(text, pattern, "")
    return tf.reduce_any(tf.strings.length(without) != tf.strings.length(text))


def _lower_between_nuls(text: tf.Tensor) -> tf.Tensor:
    """Return text in lowercase; `tf.strings.lower` itself would end it at the first NUL."""
    import tensorflow as tf

    nul = tf.strings.unicode_encode([0], "UTF-8")  # `tf.constant` would make nothing of it.
    parts = tf.strings.split(text, nul)
    lowered = parts.with_flat_values(tf.strings.lower(parts.flat_values, encoding="utf-8") + nul)
    joined = tf.strings.reduce_join(lowered, axis=1)
    size = tf.strings.length(joined) - 1  # Without the last NUL.
    return tf.strings.substr(joined, tf.zeros_like(size), size)


def _compose(text: tf.Tensor) -> tf.Tensor:
    import tensorflow as tf

    for pair, character in COMPOSITIONS.items():
        text = tf.strings.regex_replace(text, pair, character)
    return text


def is_blank(code_point: tf.Tensor) -> tf.Tensor:
    """Return which code points (n,) int64 are of `BLANKS`, (n,) bool."""
    import tensorflow as tf

    blanks = tf.constant([ord(character) for character in BLANKS], tf.int64)
    return tf.reduce_any(code_point[:, None] == blanks, axis=1)

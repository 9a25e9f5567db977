"""Text to code points, normalized and cut, as a TensorFlow graph."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from charseq.text.text_graph import is_blank, lowercase, strip_and_cut
from pipeline.options import Options


class Characters(NamedTuple):
    """The characters of a batch.

    distinct: (k,) int64, code points. index: (batch, max_length) int32, which of them stands at
    each position; no meaning behind the end of a sequence. length: (batch,) int32, of the sequences
    cut at max_length.
    """

    distinct: tf.Tensor
    index: tf.Tensor
    length: tf.Tensor


def decode_normalized(text: tf.Tensor, options: Options) -> Characters:
    """Return the characters of (batch,) string, normalized and cut."""
    decode = _traced(options.num_positions, options.lowercase, options.strip)
    return Characters(*decode(text))


@functools.cache
def _traced(max_length: int, lower: bool, strip: bool) -> tf.types.experimental.ConcreteFunction:
    """Return a function from (batch,) string to `Characters`.

    It is traced once for all graphs that call it; TensorFlow Transform makes five.
    """
    signature = [tf.TensorSpec([None], tf.string)]

    @tf.function(input_signature=signature, autograph=False)
    def decode(text: tf.Tensor) -> Characters:
        if lower:
            text = lowercase(text)
        characters = _decode(text, max_length)
        return _strip(characters, text, max_length) if strip else characters

    return decode.get_concrete_function()


def _strip(characters: Characters, text: tf.Tensor, max_length: int) -> Characters:
    """Return the characters of text without blanks at both ends.

    What the preparation encodes is stripped already, so it is decoded again only if an end of one
    of the rows is blank.
    """
    return _cond(
        _has_blank_end(characters),
        lambda: _decode(strip_and_cut(text, max_length), max_length),
        lambda: characters,
        max_length,
    )


def _has_blank_end(characters: Characters) -> tf.Tensor:
    """Return whether the first or the last character of a sequence, as cut, is blank: () bool."""
    last = tf.maximum(characters.length - 1, 0)
    first_and_last = tf.stack(
        [characters.index[:, 0], tf.gather(characters.index, last, batch_dims=1)]
    )
    return tf.reduce_any(tf.gather(is_blank(characters.distinct), first_and_last))


def _decode(text: tf.Tensor, max_length: int) -> Characters:
    """Return the characters of (batch,) string, cut.

    Each code point is then looked up once instead of once a position, which is what makes the
    encoding fast; where all text is ASCII, the bytes themselves are the index. Bytes that are not
    UTF-8 become U+FFFD.
    """
    data = tf.io.decode_raw(text, tf.uint8, fixed_length=max_length)

    def of_ascii() -> Characters:
        length = tf.minimum(tf.strings.length(text), max_length)
        return Characters(tf.range(128, dtype=tf.int64), tf.cast(data, tf.int32), length)

    def of_unicode() -> Characters:
        code_points = tf.strings.unicode_decode(text, "UTF-8")[:, :max_length]
        dense = tf.cast(code_points.to_tensor(shape=[None, max_length]), tf.int64)
        distinct, index = tf.unique(tf.reshape(dense, [-1]))
        length = tf.cast(code_points.row_lengths(), tf.int32)
        return Characters(distinct, tf.reshape(index, tf.shape(dense)), length)

    return _cond(tf.reduce_max(data) < 128, of_ascii, of_unicode, max_length)


def _cond(
    condition: tf.Tensor,
    if_true: Callable[[], Characters],
    if_false: Callable[[], Characters],
    max_length: int,
) -> Characters:
    """Return the characters of one of two functions, with the shapes that `tf.cond` loses."""
    distinct, index, length = tf.cond(condition, if_true, if_false)
    return Characters(
        tf.ensure_shape(distinct, [None]),
        tf.ensure_shape(index, [None, max_length]),
        tf.ensure_shape(length, [None]),
    )

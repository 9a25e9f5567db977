"""Texts as the sequences that a preparation would make of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from charseq.text.normalization import Normalization
from charseq.text.text_graph import lowercase, strip

if TYPE_CHECKING:
    import tensorflow as tf


def normalize(texts: Sequence[str], normalization: Normalization) -> list[str]:
    """Return texts normalized, before they are cut."""
    normalized = normalization.before_graph(texts)
    if normalization.lowercase:
        normalized = _in_graph(lowercase, normalized)
    return _in_graph(strip, normalized) if normalization.strip else normalized


def cut(texts: Sequence[str], max_length: int, normalization: Normalization) -> list[str]:
    """Return the first `max_length` characters of normalized texts, as records are made of."""
    shortened = [text[:max_length] for text in texts]
    return _in_graph(strip, shortened) if normalization.strip else shortened


def _in_graph(function: Callable[[tf.Tensor], tf.Tensor], texts: Sequence[str]) -> list[str]:
    import numpy as np
    import tensorflow as tf

    if not texts:
        return []
    # As objects: numpy's own type for bytes would drop a NUL at the end.
    values = np.array([text.encode("utf-8") for text in texts], object)
    return [value.decode("utf-8") for value in function(tf.constant(values)).numpy()]

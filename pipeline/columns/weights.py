"""A column that says how much a row counts in training."""

from __future__ import annotations

import math
import re

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from charseq.text.normalization import BLANKS

# A loss times a larger weight may be beyond float32, and a smaller one is taken for 0: TensorFlow
# does, of numbers below 1.2e-38.
MIN_WEIGHT, MAX_WEIGHT = 1e-30, 1e30

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def parse_weights(column: pa.BinaryArray) -> npt.NDArray[np.float64]:
    """Return weights, (n,) binary to (n,) float64; NaN for what is no number of 0 to `MAX_WEIGHT`.

    Blanks around a number are left out; null is no number.
    """
    encoded = column.dictionary_encode()
    values = np.array([*map(_parse, encoded.dictionary.to_pylist()), math.nan])
    numbers = encoded.indices.fill_null(len(values) - 1).to_numpy(zero_copy_only=False)
    return values[numbers]  # type: ignore[no-any-return]


def _parse(value: bytes) -> float:
    text = value.decode("utf-8", "replace").strip(BLANKS)
    weight = float(text) if _NUMBER.fullmatch(text) else math.nan
    return weight if 0 <= weight <= MAX_WEIGHT else math.nan


def is_zero(weight: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Return which weights are 0, or below `MIN_WEIGHT`: (n,) float64 to (n,) bool."""
    return weight < MIN_WEIGHT

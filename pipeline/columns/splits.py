"""Columns that say which split a row is in: by a name, or by a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from charseq.manifest import SPLITS
from charseq.text.normalization import BLANKS
from pipeline.times import parse_time

Places = npt.NDArray[np.int8]

NO_SPLIT = -1
_TRAIN, _VALIDATION, _TEST = range(len(SPLITS))


def find_splits(column: pa.BinaryArray, split_of_value: Mapping[str, int]) -> Places:
    """Return the place in SPLITS of each value: (n,) binary to (n,) int8.

    Blanks around a value are left out. It is `NO_SPLIT` for null and for a value that is not a key
    of `split_of_value`.
    """
    return _map_distinct(column, lambda text: split_of_value.get(text, NO_SPLIT))


def find_splits_by_time(
    column: pa.BinaryArray, validation_from: datetime | None, test_from: datetime | None
) -> Places:
    """Return the place in SPLITS of each time: (n,) binary to (n,) int8.

    Blanks around a time are left out. It is `NO_SPLIT` for null and for a text that is no time.

    Args:
        column: times, see `parse_time`.
        validation_from: when the validation split begins; None if it has no times.
        test_from: when the test split begins, likewise.
    """

    def place(text: str) -> int:
        try:
            time = parse_time(text)
        except (ValueError, OverflowError):
            return NO_SPLIT
        if test_from is not None and time >= test_from:
            return _TEST
        return _TRAIN if validation_from is None or time < validation_from else _VALIDATION

    return _map_distinct(column, place)


def _map_distinct(column: pa.BinaryArray, place: Callable[[str], int]) -> Places:
    encoded = column.dictionary_encode()
    texts = [
        value.decode("utf-8", "replace").strip(BLANKS) for value in encoded.dictionary.to_pylist()
    ]
    places = np.array([*map(place, texts), NO_SPLIT], np.int8)
    numbers = encoded.indices.fill_null(len(texts)).to_numpy(zero_copy_only=False)
    return places[numbers]  # type: ignore[no-any-return]

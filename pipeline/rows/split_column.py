"""The column that says which split a row is in."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from charseq.text.normalization import BLANKS

Places = npt.NDArray[np.int8]

NO_SPLIT = -1


def find_splits(column: pa.BinaryArray, split_of_value: Mapping[str, int]) -> Places:
    """Return the place in SPLITS of each value: (n,) binary to (n,) int8.

    Blanks around a value are left out. It is `NO_SPLIT` for null and for a value that is not a key
    of `split_of_value`.
    """
    encoded = column.dictionary_encode()
    texts = [
        value.decode("utf-8", "replace").strip(BLANKS) for value in encoded.dictionary.to_pylist()
    ]
    places = np.array([*(split_of_value.get(text, NO_SPLIT) for text in texts), NO_SPLIT], np.int8)
    numbers = encoded.indices.fill_null(len(texts)).to_numpy(zero_copy_only=False)
    return places[numbers]  # type: ignore[no-any-return]

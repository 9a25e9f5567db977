"""The files of an export to ONNX, and where they may be written."""

from __future__ import annotations

import os
from collections.abc import Collection

from charseq.errors import DataError

MODEL_FILE = "model.onnx"
ALPHABET_FILE = "alphabet.json"
ENCODE_FILE = "encode.py"
FILES = (MODEL_FILE, ALPHABET_FILE, ENCODE_FILE)


def check_free(directory: str, replaceable: Collection[str] = ()) -> None:
    """Check that a directory can be written: it is empty, or not there.

    replaceable: the names of what may be there all the same.

    Raises:
        DataError: something else is there.
    """
    if not os.path.lexists(directory):
        return
    if not os.path.isdir(directory):
        raise DataError(f"{directory}: is a file, expected a directory")
    if names := sorted(set(os.listdir(directory)) - set(replaceable)):
        raise DataError(
            f"{directory}: exists and holds {names[0]}; remove it, or choose another --output"
        )

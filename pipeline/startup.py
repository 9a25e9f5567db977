"""The start of a program that imports TensorFlow: quick, and with nothing on the terminal."""

from __future__ import annotations

import gc
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def heavy_imports() -> Iterator[None]:
    """Import in the block: quietly, and without looking for garbage among what is imported."""
    gc.disable()
    try:
        with _without_native_notes():
            yield
        # A million objects that live as long as the process: a second at its start, one at its end.
        gc.freeze()
    finally:
        gc.enable()


@contextmanager
def _without_native_notes() -> Iterator[None]:
    """Keep what native code writes to standard error in the block, and tell it if the block fails.

    Importing TensorFlow prints notes on oneDNN and missing GPUs before any of its own settings
    for the log level apply.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as notes:
        os.dup2(notes.fileno(), 2)
        try:
            yield
        except Exception:  # Told to end, nobody asks for them.
            notes.seek(0)
            os.write(terminal, notes.read())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)

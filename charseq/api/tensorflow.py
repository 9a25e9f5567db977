"""TensorFlow, imported in the process of the user."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from typing import Any

from charseq.console.native import without_native_messages
from charseq.errors import DataError

_LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"


def import_tensorflow() -> Any:
    """Return TensorFlow; if it is imported only now, without its messages about the machine.

    None of its settings is changed, and no variable of the process.

    Raises:
        DataError: it is not installed.
    """
    if "tensorflow" not in sys.modules:
        if find_spec("tensorflow") is None:
            raise DataError("TensorFlow is not installed: pip install 'charseq[trainer]'")
        _import_quietly()
    import tensorflow as tf

    return tf


def _import_quietly() -> None:
    is_set = _LOG_LEVEL in os.environ
    os.environ.setdefault(_LOG_LEVEL, "3")
    try:
        with without_native_messages():
            import tensorflow as tf

            tf.config.list_logical_devices()
    finally:
        if not is_set:
            del os.environ[_LOG_LEVEL]

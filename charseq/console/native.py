"""What native code of libraries prints, past Python's standard error."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from charseq.process.signals import was_signalled


@contextmanager
def without_native_messages() -> Iterator[None]:
    """Hold back what native code writes to standard error; print it if the block fails.

    Importing TensorFlow prints messages about oneDNN and missing GPUs before its own settings for
    the log level apply.
    """
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as messages:
        os.dup2(messages.fileno(), 2)
        try:
            yield
        except Exception:
            if not was_signalled():  # A user who interrupts does not need them.
                messages.seek(0)
                os.write(stderr, messages.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)

"""Archives that a run keeps, `.npz` and `.keras`: what reading a damaged one raises."""

from __future__ import annotations

import zipfile
import zlib

# What numpy and zipfile raise for a file that was cut off or whose bits have changed.
ARCHIVE_DAMAGE = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    EOFError,
    NotImplementedError,
    zipfile.BadZipFile,
    zlib.error,
)

"""How many sequences a model is given at once."""

from __future__ import annotations

# Of 256 to 4,096 rows, sequences per CPU second were most at 1,024 and 2,048. More ids than these
# would take gigabytes in a model of n-grams.
_MAX_ROWS, _MIN_ROWS = 1024, 64
_MAX_IDS = 1 << 18


def batch_rows(max_length: int) -> int:
    """Return the rows of every batch: XLA compiles a program for each shape, so there is one."""
    return max(_MIN_ROWS, min(_MAX_ROWS, _MAX_IDS // max_length))

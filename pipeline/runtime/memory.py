"""Allocators that return the memory of blocks and shards to the system instead of keeping it."""

from __future__ import annotations

import ctypes

import pyarrow as pa

# Parameters of mallopt(3), from glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8


def configure_allocators() -> None:
    """Set glibc's and Arrow's allocators so that the peak follows the memory in use.

    By default glibc raises its thresholds to 32 and 64 MB and keeps a heap for each thread, and
    Arrow's allocator keeps more still. These values cost no time that could be measured.
    """
    libc = ctypes.CDLL(None)
    libc.mallopt(_M_ARENA_MAX, 2)
    libc.mallopt(_M_MMAP_THRESHOLD, 4 << 20)
    libc.mallopt(_M_TRIM_THRESHOLD, 32 << 20)
    pa.set_memory_pool(pa.system_memory_pool())

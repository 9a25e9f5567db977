"""A stable 64-bit hash of text columns: the same on every machine, in every version."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

_WORD = 8  # bytes


def hash_sequences(sequence: pa.StringArray, seed: int) -> npt.NDArray[np.uint64]:
    """Return a 64-bit hash of the UTF-8 of each sequence: (n,) string, none empty, to (n,) uint64.

    state = mix(seed + bytes * 0x9E3779B97F4A7C15), then state = mix(state ^ word) for each
    little-endian 8-byte word, the last one padded with zeros; mix is splitmix64's finaliser
    (Steele et al. 2014), so that each step permutes the states.
    """
    data, start, size = _flat_bytes(sequence)
    # Every byte position as the start of a word: unaligned reads, nothing copied.
    words: npt.NDArray[np.uint64] = np.ndarray(len(data) - _WORD + 1, "<u8", data, strides=(1,))
    with np.errstate(over="ignore"):
        state = mix(np.uint64(seed) + size.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15))
        active = np.arange(len(start))
        for offset in range(0, int(size.max(initial=0)), _WORD):
            active = active[size[active] > offset]
            word = words[start[active] + offset]
            rest = np.minimum(size[active] - offset, _WORD).astype(np.uint64) * np.uint64(8)
            word &= np.uint64(2**64 - 1) >> (np.uint64(64) - rest)
            state[active] = mix(state[active] ^ word)
    return state


def mix(value: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Return a permutation of 64-bit values that scatters them: (n,) uint64 to (n,) uint64."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


def _flat_bytes(
    sequence: pa.StringArray,
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return all bytes with a word of zeros behind them, and start and size of each row in them."""
    _, offsets_buffer, data_buffer = sequence.buffers()
    offsets = np.frombuffer(offsets_buffer, np.int32)[sequence.offset :][: len(sequence) + 1]
    offsets = offsets.astype(np.int64)
    used = np.frombuffer(data_buffer or b"", np.uint8)[offsets[0] : offsets[-1]]
    data = np.concatenate([used, np.zeros(_WORD, np.uint8)])
    return data, offsets[:-1] - offsets[0], np.diff(offsets)

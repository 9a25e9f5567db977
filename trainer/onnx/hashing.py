"""The hashes of n-grams in ONNX: those of `trainer.ngrams.hashing`.

Runtimes lack most arithmetic on unsigned integers, so that 32 bits stand in int64, never negative.
The product of two of them may wrap around in 64 bits; its lower 32 bits stay right.
"""

from __future__ import annotations

import numpy as np

from trainer.bits import FIRST, GOLDEN, SECOND
from trainer.onnx.graph import Graph, Operand

_MASK = np.int64(2**32 - 1)


def mark_ends(graph: Graph, ids: str, length: str, unknown_id: int, max_length: int) -> str:
    """Return sequences with their marks, (rows, max_length + 2) int64.

    Args:
        graph: to add to.
        ids: (rows, max_length) int64.
        length: (rows,) int64.
        unknown_id: the begin mark is `unknown_id` + 1, the end mark `unknown_id` + 2.
        max_length: of the ids.
    """
    shifted = graph.apply("Pad", ids, np.array([0, 1, 0, 1]))
    positions = np.arange(max_length + 2)
    end = graph.apply("Add", graph.unsqueeze(length, 1), np.int64(1))
    marked = graph.apply(
        "Where", graph.apply("Equal", end, positions), np.int64(unknown_id + 2), shifted
    )
    return graph.apply("Where", positions == 0, np.int64(unknown_id + 1), marked)


def hash_ngrams(graph: Graph, marked: str, ngram_max: int) -> str:
    """Return the hash of each n-gram by its last position, (rows, positions, ngram_max) int64.

    Hashes are 1 to 2**32 - 1, and 0 where there is no n-gram.
    """
    exists = graph.apply("Greater", marked, np.int64(0))
    hashed: Operand = np.zeros((1, 1), np.int64)
    hashes = []
    for size in range(1, ngram_max + 1):
        if size > 1:
            exists = graph.apply("And", exists, _one_position_later(graph, exists))
            hashed = _one_position_later(graph, str(hashed))
        mixed = _multiply(graph, graph.apply("BitwiseXor", hashed, marked), GOLDEN)
        hashed = _fold(graph, mixed, 15)
        of_size = _multiply(graph, graph.apply("Add", hashed, np.int64(size)), FIRST)
        of_size = _multiply(graph, _fold(graph, of_size, 13), SECOND)
        of_size = _fold(graph, of_size, 16)
        # Not `Max`: onnxruntime 1.23 computes it in 32 bits.
        is_zero = graph.apply("Equal", of_size, np.int64(0))
        of_size = graph.apply("Where", is_zero, np.int64(1), of_size)
        of_size = graph.apply("Where", exists, of_size, np.int64(0))
        hashes.append(graph.unsqueeze(of_size, 2))
    return graph.apply("Concat", *hashes, axis=2)


def buckets_of(graph: Graph, hashes: str, num_buckets: int) -> str:
    """Return the bucket of each hash: 1 to `num_buckets`, a power of two; 0 for no n-gram."""
    low = graph.apply("BitwiseAnd", hashes, np.int64(num_buckets - 1))
    bucket = graph.apply("Add", low, np.int64(1))
    return graph.apply("Where", graph.apply("Equal", hashes, np.int64(0)), np.int64(0), bucket)


def to_signed(graph: Graph, hashes: str) -> str:
    """Return hashes as int32, of the same bits."""
    negative = graph.apply("Sub", hashes, np.int64(2**32))
    is_negative = graph.apply("Greater", hashes, np.int64(2**31 - 1))
    return graph.cast(graph.apply("Where", is_negative, negative, hashes), "int32")


def _multiply(graph: Graph, bits: str, factor: int) -> str:
    return graph.apply("BitwiseAnd", graph.apply("Mul", bits, np.int64(factor)), _MASK)


def _fold(graph: Graph, bits: str, count: int) -> str:
    """Return bits whose higher ones are also `count` places lower, by exclusive or."""
    return graph.apply("BitwiseXor", bits, graph.apply("Div", bits, np.int64(2**count)))


def _one_position_later(graph: Graph, values: str) -> str:
    """Return at each position what `values` (rows, positions) has at the one before; 0 first."""
    return graph.apply("Pad", values, np.array([0, 1, 0, -1]))

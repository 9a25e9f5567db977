"""The hashes of n-grams as onnxruntime computes them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnxruntime
import pytest

from tests.trainer.ngrams.test_hashing import hash_of
from trainer.onnx.graph import Graph
from trainer.onnx.hashing import buckets_of, hash_ngrams, mark_ends, to_signed

pytestmark = pytest.mark.unit

UNKNOWN = 5
BEGIN, END = 6, 7


def compute(
    add: Callable[[Graph], str], shape: tuple[int, ...], **inputs: np.ndarray
) -> np.ndarray:
    """Return the tensor of a shape that `add` returns; float32 must hold its numbers exactly."""
    graph = Graph()
    answer = graph.cast(add(graph), "float32")
    shapes = {name: list(values.shape) for name, values in inputs.items()}
    model = graph.to_model(shapes, {"answer": (answer, list(shape))}, {})
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    values: np.ndarray
    [values] = session.run(None, inputs)
    assert values.shape == shape
    return values


def parts(graph: Graph, hashes: str) -> str:
    """Return the upper and the lower 16 bits of hashes, which float32 holds exactly."""
    upper = graph.apply("Div", hashes, np.int64(2**16))
    lower = graph.apply("BitwiseAnd", hashes, np.int64(2**16 - 1))
    return graph.apply("Concat", graph.unsqueeze(upper, 0), graph.unsqueeze(lower, 0), axis=0)


def test_marks_stand_at_both_ends() -> None:
    marked = compute(
        lambda graph: mark_ends(graph, "ids", "length", UNKNOWN, 3),
        (2, 5),
        ids=np.array([[1, 2, 3], [4, 0, 0]]),
        length=np.array([3, 1]),
    )
    assert marked.tolist() == [[BEGIN, 1, 2, 3, END], [BEGIN, 4, END, 0, 0]]


def test_buckets_by_position_and_size() -> None:
    """The twenty values of `tests.trainer.ngrams.test_hashing`."""
    buckets = compute(
        lambda graph: buckets_of(graph, hash_ngrams(graph, "marked", 3), 2**20),
        (2, 5, 3),
        marked=np.array([[6, 1, 2, 3, 7], [6, 4, 7, 0, 0]]),
    )
    assert buckets.tolist() == [
        [
            [185486, 0, 0],
            [381807, 1037304, 0],
            [22220, 935272, 499341],
            [915873, 147528, 374101],
            [562977, 193312, 457167],
        ],
        [[185486, 0, 0], [606160, 1894, 0], [562977, 106984, 65546], [0, 0, 0], [0, 0, 0]],
    ]


def test_hashes_are_those_of_plain_integers() -> None:
    marked = np.random.default_rng(3).integers(1, 70_000, (4, 9))
    upper, lower = compute(
        lambda graph: parts(graph, hash_ngrams(graph, "marked", 4)), (2, 4, 9, 4), marked=marked
    )
    got = upper.astype(np.int64) * 2**16 + lower.astype(np.int64)
    assert got.max() > 2**31
    for size in range(1, 5):
        for row, symbols in enumerate(marked.tolist()):
            for end in range(9):
                ngram = symbols[end + 1 - size : end + 1]
                expected = hash_of(ngram) if end + 1 >= size else 0
                assert got[row, end, size - 1] == expected


def test_hashes_as_signed_integers() -> None:
    signed = compute(
        lambda graph: to_signed(graph, "hashes"),
        (6,),
        hashes=np.array([0, 1, 2**31 - 1, 2**31, 2**32 - 1, 2**32 - 2**20]),
    )
    assert signed.tolist() == [0, 1, 2**31, -(2**31), -1, -(2**20)]

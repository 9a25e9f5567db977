"""How calls become batches."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from charseq.server.batches import Batcher, BatchSettings
from charseq.server.errors import RequestError
from charseq.server.model.messages import Call
from tests.support.asgi import FakeModel, objects

pytestmark = pytest.mark.unit


def texts(*values: bytes, signature: str = "serving_default", **shared: Any) -> Call:
    return Call(signature, {"sequence": objects(values)}, shared)


def compute(
    calls: list[Call],
    *,
    wait: float = 0.0,
    queue_rows: int = 1000,
    seconds: float = 5.0,
    under_way: int = 0,
) -> tuple[FakeModel, list[Any]]:
    """Return the model, and what calls of the same moment gave; errors too."""

    async def run() -> tuple[FakeModel, list[Any]]:
        model = FakeModel()
        settings = BatchSettings(wait, queue_rows, seconds)
        batcher = Batcher(model, settings, lambda: under_way, lambda rows, counted: None)
        results = await asyncio.gather(
            *(batcher.compute(call) for call in calls), return_exceptions=True
        )
        await batcher.close()
        return model, results

    return asyncio.run(run())


def sizes(model: FakeModel) -> list[tuple[str, int]]:
    return [(call.signature, call.rows) for call in model.calls]


def test_calls_of_a_moment_are_one_batch_and_each_gets_its_rows() -> None:
    model, results = compute([texts(b"a", b"bb"), texts(b"ccc"), texts(b"dd", b"e")])
    assert sizes(model) == [("serving_default", 5)]
    assert [result["label"].tolist() for result in results] == [[b"a", b"b"], [b"c"], [b"d", b"e"]]


def test_other_signatures_and_other_values_for_all_rows_are_other_batches() -> None:
    two, three = np.array(2, np.int32), np.array(3, np.int32)
    model, _ = compute(
        [
            texts(b"a", signature="top_k", k=two),
            texts(b"b"),
            texts(b"c", signature="top_k", k=three),
            texts(b"d", signature="top_k", k=two),
        ]
    )
    assert sizes(model) == [("top_k", 2), ("serving_default", 1), ("top_k", 1)]


def test_a_large_call_is_computed_in_parts() -> None:
    model, (result,) = compute([texts(*[b"%d" % (number % 10) for number in range(250)])])
    assert sizes(model) == [("serving_default", 100)] * 2 + [("serving_default", 50)]
    assert b"".join(result["label"].tolist()) == b"0123456789" * 25


def test_texts_are_explained_a_few_at_a_time_also_of_several_calls() -> None:
    model, _ = compute([texts(*[b"a"] * 90, signature="explain"), texts(b"b", signature="explain")])
    assert sizes(model) == [("explain", 64), ("explain", 27)]


def test_only_the_call_at_fault_fails() -> None:
    model, results = compute([texts(b"a"), texts(b"fail"), texts(b"c")])
    assert sizes(model) == [("serving_default", 3)] + [("serving_default", 1)] * 3
    assert results[0]["label"].tolist() == [b"a"]
    assert isinstance(results[1], RequestError)
    assert results[2]["label"].tolist() == [b"c"]


def test_beyond_the_queue_calls_are_sent_away() -> None:
    _, results = compute([texts(*[b"a"] * 90), texts(*[b"b"] * 10), texts(b"c")], queue_rows=100)
    assert [isinstance(result, RequestError) for result in results] == [False, False, True]
    assert (results[2].status, results[2].headers) == (503, {"Retry-After": "1"})


def test_one_call_larger_than_the_queue_is_computed_if_nothing_waits() -> None:
    _, results = compute([texts(*[b"a"] * 150)], queue_rows=100)
    assert len(results[0]["label"]) == 150


def test_a_call_that_takes_too_long_is_given_up_and_the_next_is_answered() -> None:
    _, results = compute([texts(b"slow"), texts(b"a", signature="raw")], seconds=0.1)
    assert [result.status for result in results] == [504, 504]
    _, results = compute([texts(b"slow"), texts(b"a", signature="raw")], seconds=3)
    assert [list(result) for result in results] == [["label", "probability"], ["raw_bytes"]]


@pytest.mark.parametrize(("under_way", "expected"), [(1, [1, 1]), (2, [2])])
def test_a_call_waits_for_others_only_if_there_are_other_requests(
    under_way: int, expected: list[int]
) -> None:
    async def run() -> list[int]:
        model = FakeModel()
        settings = BatchSettings(0.2, 1000, 5.0)
        batcher = Batcher(model, settings, lambda: under_way, lambda rows, counted: None)

        async def later() -> None:
            await asyncio.sleep(0.05)
            await batcher.compute(texts(b"b"))

        await asyncio.gather(batcher.compute(texts(b"a")), later())
        return [call.rows for call in model.calls]

    assert asyncio.run(run()) == expected


def test_calls_that_nobody_waits_for_are_not_computed() -> None:
    async def run() -> list[Call]:
        model = FakeModel()
        settings = BatchSettings(0.1, 1000, 5.0)
        batcher = Batcher(model, settings, lambda: 9, lambda rows, counted: None)
        left = asyncio.ensure_future(batcher.compute(texts(b"a")))
        stays = asyncio.ensure_future(batcher.compute(texts(b"b")))
        await asyncio.sleep(0.01)
        left.cancel()
        await stays
        return model.calls

    (call,) = asyncio.run(run())
    assert call.columns["sequence"].tolist() == [b"b"]

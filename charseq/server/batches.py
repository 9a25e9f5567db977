"""Calls of many requests, computed together.

While the model computes one batch, calls wait for the next one. A call that finds the model idle
waits for others, too, but only a few milliseconds, and not if no other request is there.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from charseq.server.errors import INTERNAL, RequestError, come_again
from charseq.server.model.messages import Array, Call, Counted, Ready, Result
from charseq.server.rest import calls


class Model(Protocol):
    """What computes a batch: a `ModelProcess`."""

    ready: Ready

    async def call(self, call: Call) -> Result: ...


class Waiting(NamedTuple):
    """A call in the queue, since when, and where its outputs go."""

    call: Call
    group: tuple[object, ...]
    since: float
    outputs: asyncio.Future[Mapping[str, Array]]


class BatchSettings(NamedTuple):
    """How batches are made.

    wait: seconds for others, of a call that finds the model idle. queue_rows: that may wait.
    seconds: that a call may take, from its arrival on.
    """

    wait: float
    queue_rows: int
    seconds: float


class Batcher:
    """The queue of one model.

    Args:
        model: what computes.
        settings: of its batches.
        requests_under_way: returns how many requests the server has at the moment.
        note_batch: is called with the rows of each batch, and what was counted in it.
    """

    def __init__(
        self,
        model: Model,
        settings: BatchSettings,
        requests_under_way: Callable[[], int],
        note_batch: Callable[[int, Counted | None], None],
    ) -> None:
        self.model = model
        self._settings = settings
        self._requests_under_way = requests_under_way
        self._note_batch = note_batch
        self._queue: deque[Waiting] = deque()
        self._queued_rows = 0
        self._arrived = asyncio.Event()
        self._is_idle = asyncio.Event()
        self._is_idle.set()
        self._task = asyncio.get_running_loop().create_task(self._compute_all())

    async def compute(self, call: Call) -> dict[str, Array]:
        """Return the outputs of a call.

        Raises:
            RequestError: the queue is full, the model fails, or it takes too long.
        """
        if self._task.done():
            raise RequestError(INTERNAL, "the queue of the model has ended")
        if 0 < self._queued_rows > self._settings.queue_rows - call.rows:
            raise come_again(
                f"{self._queued_rows:,} rows are waiting, at most {self._settings.queue_rows:,} may"
            )
        loop = asyncio.get_running_loop()
        parts = [
            Waiting(part, calls.group(part), loop.time(), loop.create_future())
            for part in calls.pieces(call, self._most_rows(call))
        ]
        self._queue.extend(parts)
        self._queued_rows += call.rows
        self._is_idle.clear()
        self._arrived.set()
        timer = loop.call_later(self._settings.seconds, self._give_up, parts)
        try:
            outputs = [await part.outputs for part in parts]
        finally:
            timer.cancel()
            for part in parts:
                if not part.outputs.cancel() and not part.outputs.cancelled():
                    part.outputs.exception()  # Or asyncio complains that nobody has read it.
        return _concatenate(outputs)

    def _give_up(self, parts: list[Waiting]) -> None:
        for part in parts:
            _fail(part, RequestError(504, f"no answer in {self._settings.seconds:g} s"))

    async def close(self) -> None:
        """Wait until the queue is empty, and end."""
        await self._is_idle.wait()
        self._task.cancel()

    async def _compute_all(self) -> None:
        batch: list[Waiting] = []
        try:
            while True:
                self._arrived.clear()
                if not self._queue:
                    self._is_idle.set()
                    await self._arrived.wait()
                await self._wait_for_others()
                if batch := self._take():
                    await self._compute(batch)
        finally:  # It is closed; or, by a mistake in it, nobody else would answer.
            for each in [*batch, *self._queue]:
                _fail(each, RequestError(INTERNAL, "the queue of the model has ended"))
            self._is_idle.set()

    async def _wait_for_others(self) -> None:
        loop = asyncio.get_running_loop()
        while self._queue and len(self._queue) < self._requests_under_way():
            left = self._queue[0].since + self._settings.wait - loop.time()
            if left <= 0 or self._queued_rows >= self.model.ready.batch_rows:
                return
            self._arrived.clear()
            try:
                await asyncio.wait_for(self._arrived.wait(), left)
            except asyncio.TimeoutError:
                return

    def _most_rows(self, call: Call) -> int:
        return calls.most_rows(call, self.model.ready.batch_rows)

    def _take(self) -> list[Waiting]:
        """Take the first call from the queue, and those after it that fit into its batch."""
        batch: list[Waiting] = []
        rest: deque[Waiting] = deque()
        rows = 0
        for each in self._queue:
            if each.outputs.done():  # Its request has ended.
                continue
            fits = rows + each.call.rows <= self._most_rows(each.call)
            if not batch or (fits and each.group == batch[0].group):
                batch.append(each)
                rows += each.call.rows
            else:
                rest.append(each)
        self._queue = rest
        self._queued_rows = sum(each.call.rows for each in rest)
        return batch

    async def _compute(self, batch: list[Waiting]) -> None:
        try:
            result = await self.model.call(calls.join([each.call for each in batch]))
        except RequestError as error:
            if len(batch) == 1 or error.status >= INTERNAL:
                for each in batch:
                    _fail(each, error)
            else:  # One of them is at fault: the others get their answers.
                for each in batch:
                    await self._compute([each])
            return
        rows = sum(each.call.rows for each in batch)
        self._note_batch(rows, result.counted)
        if len(batch) == 1:
            _answer(batch[0], result.outputs)
            return
        start = 0
        for each in batch:
            end = start + each.call.rows
            _answer(each, {name: array[start:end] for name, array in result.outputs.items()})
            start = end


def _answer(waiting: Waiting, outputs: Mapping[str, Array]) -> None:
    if not waiting.outputs.done():
        waiting.outputs.set_result(outputs)


def _fail(waiting: Waiting, error: RequestError) -> None:
    if not waiting.outputs.done():
        waiting.outputs.set_exception(error)


def _concatenate(outputs: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    if len(outputs) == 1:
        return dict(outputs[0])
    return {name: np.concatenate([each[name] for each in outputs]) for name in outputs[0]}

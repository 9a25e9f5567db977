"""Work done ahead, in threads, while Beam takes on what is ready.

Beam hands a DoFn one element at a time. Arrow, numpy and TensorFlow let other threads run while
they work, so a few elements at once keep all cores of one process busy, and none pays for a second
import of TensorFlow.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

_THREADS = (os.cpu_count() or 1) + 1  # one may wait for a disk, or for the interpreter
_AHEAD = 2 * _THREADS  # so that a slow taker does not let the threads run dry


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    """The threads that all DoFns of the process share."""
    return ThreadPoolExecutor(_THREADS, thread_name_prefix="ahead")


class ThreadedDoFn(beam.DoFn):
    """A DoFn that begins its work in threads and hands on the results in order.

    A subclass calls `begin` in `process` and makes its outputs in `finish`, which runs in Beam's
    own thread: metrics count only there. For the global window.
    """

    def start_bundle(self) -> None:
        """Forget what a bundle that failed had begun."""
        self._begun: deque[Future[Any]] = deque()

    def begin(self, work: Callable[..., Any], *args: Any) -> Iterator[Any]:
        """Begin `work(*args)`; yield the outputs of the oldest work, once enough has begun."""
        self._begun.append(_pool().submit(work, *args))
        if len(self._begun) > _AHEAD:
            yield from self.finish(self._begun.popleft().result())

    def finish(self, result: Any) -> Iterator[Any]:
        """The outputs that the result of some work leads to."""
        raise NotImplementedError

    def finish_bundle(self) -> Iterator[WindowedValue | TaggedOutput]:
        """The outputs of all work still under way."""
        while self._begun:
            for output in self.finish(self._begun.popleft().result()):
                if isinstance(output, TaggedOutput):
                    yield TaggedOutput(output.tag, _in_global_window(output.value))
                else:
                    yield _in_global_window(output)


def _in_global_window(value: Any) -> WindowedValue:
    window = GlobalWindow()
    return WindowedValue(value, window.max_timestamp(), (window,))

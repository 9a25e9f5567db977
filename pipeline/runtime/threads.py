"""Work of a DoFn done in threads, while Beam takes the results that are ready.

Beam hands a DoFn one element at a time. Arrow, numpy and TensorFlow release the interpreter while
they work, so a few elements at once keep all cores of one process busy, without a second process
that would import TensorFlow again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from charseq.process.machine import cpu_count
from pipeline.runtime.process import configure_process

_THREADS = cpu_count() + 1  # one may wait for a disk, or for the interpreter
_MAX_PENDING = 2 * _THREADS  # so that the threads have work while a result is taken


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    """Return the threads that all DoFns of the process share."""
    return ThreadPoolExecutor(_THREADS, thread_name_prefix="threaded-dofn")


class ThreadedDoFn(beam.DoFn):
    """A DoFn whose work runs in threads and whose outputs come in the order of its elements.

    A subclass calls `submit` in `process` and turns results into outputs in `emit`, which runs in
    Beam's own thread: metrics count only there. For the global window. A subclass with a `setup`
    of its own calls this one, too.
    """

    def setup(self) -> None:
        """Configure the process, which may be a worker that runs no command of ours."""
        configure_process()

    def start_bundle(self) -> None:
        """Drop the work of a bundle that failed: the runner repeats all of its elements."""
        self._pending: deque[Future[Any]] = deque()

    def submit(self, work: Callable[..., Any], *args: Any) -> Iterator[Any]:
        """Start `work(*args)` in a thread; yield the oldest outputs once enough is pending."""
        self._pending.append(_pool().submit(work, *args))
        if len(self._pending) > _MAX_PENDING:
            yield from self.emit(self._pending.popleft().result())

    def emit(self, result: Any) -> Iterator[Any]:
        """Yield the outputs of a result of `work`: the result, if a subclass has no others."""
        yield result

    def finish_bundle(self) -> Iterator[WindowedValue | TaggedOutput]:
        """Yield the outputs of all work that is pending."""
        while self._pending:
            for output in self.emit(self._pending.popleft().result()):
                if isinstance(output, TaggedOutput):
                    yield TaggedOutput(output.tag, _in_global_window(output.value))
                else:
                    yield _in_global_window(output)


def _in_global_window(value: Any) -> WindowedValue:
    window = GlobalWindow()
    return WindowedValue(value, window.max_timestamp(), (window,))

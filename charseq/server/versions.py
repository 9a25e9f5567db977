"""The version that is served: the current one of the registry, which is looked at again and again.

A version that became current is loaded beside the one that answers, and takes over when it is
loaded and checked. Requests that began with the old one end with it; then its process ends, and its
memory is free. One that cannot be loaded is refused, and the old one goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from typing import Any

from charseq.errors import DataError, describe_os_error
from charseq.models.locate import current_version
from charseq.models.saved_model import POINTER_FILE
from charseq.server.batches import Batcher, BatchSettings
from charseq.server.log import Log
from charseq.server.metrics import Metrics
from charseq.server.model.handle import ModelProcess
from charseq.server.model.messages import Counted, Ready
from charseq.server.registry import Registry
from charseq.server.rest.predict_answer import state_of_version

LOADING, AVAILABLE, UNLOADING, END = "LOADING", "AVAILABLE", "UNLOADING", "END"


class Version:
    """A version that answers: its number, its process and the queue of its calls."""

    def __init__(self, number: int, process: ModelProcess, batcher: Batcher) -> None:
        self.number = number
        self.process = process
        self.batcher = batcher
        self.requests = 0

    @property
    def ready(self) -> Ready:
        """What the version is."""
        return self.process.ready

    @contextlib.contextmanager
    def in_use(self) -> Any:
        """Keep the version from ending while the block runs."""
        self.requests += 1
        try:
            yield self
        finally:
            self.requests -= 1


class Versions:
    """The versions of a registry.

    Args:
        registry: that holds them.
        trust_model: load versions even if they do more than compute.
        settings: of batches.
        metrics: counts batches and versions.
        log: gets a line for each event.
    """

    def __init__(
        self,
        registry: Registry,
        trust_model: bool,
        settings: BatchSettings,
        metrics: Metrics,
        log: Log,
    ) -> None:
        self._registry = registry
        self._trust_model = trust_model
        self._settings = settings
        self._metrics = metrics
        self._log = log
        self._refused: tuple[int, int] | None = None
        self._last_error = ""
        self._ending: set[asyncio.Task[None]] = set()
        self.current: Version | None = None
        self.states: dict[int, dict[str, Any]] = {}
        self.requests_under_way: Callable[[], int] = lambda: 0

    async def load_first(self) -> None:
        """Load the current version.

        Raises:
            DataError: it cannot be loaded, or there is none.
        """
        await self._load(self._current_version())

    async def follow(self) -> None:
        """Load what becomes current, for ever."""
        while True:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._lost(), self._registry.seconds_between_looks)
            try:
                await self._look()
                self._last_error = ""
            except DataError as error:
                self._log_once(str(error))
            except OSError as error:
                self._log_once(describe_os_error(error))

    def _log_once(self, message: str) -> None:
        """Log an error, unless it was the last one that was logged."""
        if message != self._last_error:
            self._last_error = message
            self._log(event="error", message=message)

    async def close(self) -> None:
        """End the processes of all versions."""
        if self.current is not None:
            await self.current.process.close()
        for task in self._ending:
            task.cancel()
        await asyncio.gather(*self._ending, return_exceptions=True)

    async def _lost(self) -> None:
        """Wait until the process of the current version has ended."""
        if self.current is None:
            await asyncio.sleep(self._registry.seconds_between_looks)
        else:
            await self.current.process.has_ended.wait()

    async def _look(self) -> None:
        """Load the current version if it is not the one that answers."""
        served = self.current
        in_use = () if served is None else (served.number,)
        await asyncio.to_thread(self._registry.update, in_use)
        number = self._current_version()
        is_lost = served is not None and served.process.has_ended.is_set()
        if served is not None and served.number == number and not is_lost:
            return
        if is_lost and served is not None:
            self._log(event="lost", version=served.number, message="its process has ended")
        changed = os.stat(os.path.join(self._registry.directory, POINTER_FILE)).st_mtime_ns
        if self._refused == (number, changed):
            if served is None or not is_lost:
                return
            number = served.number
        try:
            await self._load(number)
        except DataError as error:
            self._refused = number, changed
            self._metrics.note_refused()
            self._log(
                event="refused",
                version=number,
                message=str(error),
                still=None if self.current is None else self.current.number,
            )

    def _current_version(self) -> int:
        return current_version(self._registry.directory, self._registry.address)

    async def _load(self, number: int) -> None:
        directory = os.path.join(self._registry.directory, str(number))
        if not os.path.isdir(directory):
            raise DataError(f"{self._registry.address}/{number}: no such version")
        self.states[number] = state_of_version(number, LOADING)
        self._log(event="loading", version=number)
        try:
            process = await ModelProcess.start(directory, f"version {number}", self._trust_model)
        except DataError as error:
            self.states[number] = state_of_version(number, END, str(error))
            raise
        labels = process.ready.labels

        def note_batch(rows: int, counted: Counted | None) -> None:
            self._metrics.note_batch(rows, counted, labels)

        batcher = Batcher(process, self._settings, lambda: self.requests_under_way(), note_batch)
        before, self.current = self.current, Version(number, process, batcher)
        self.states[number] = state_of_version(number, AVAILABLE)
        self._metrics.note_version(number)
        self._log(event="serving", version=number, seconds=round(process.ready.seconds, 3))
        if before is not None:
            self._end_later(before)

    def _end_later(self, version: Version) -> None:
        task = asyncio.get_running_loop().create_task(self._end(version))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _end(self, version: Version) -> None:
        """End a version after the requests that began with it."""
        self._set_state(version.number, UNLOADING)
        try:
            while version.requests:
                await asyncio.sleep(0.05)
            await version.batcher.close()
        finally:
            await version.process.close()
        self._set_state(version.number, END)
        self._log(event="ended", version=version.number)

    def _set_state(self, number: int, state: str) -> None:
        # It may have become current again since.
        if self.current is None or self.current.number != number:
            self.states[number] = state_of_version(number, state)

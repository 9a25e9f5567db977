"""The process of a model, as the server sees it."""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import charseq.errors
from charseq.errors import DataError
from charseq.server.errors import INTERNAL, STATUS_OF_CODE, RequestError, come_again
from charseq.server.model.messages import (
    LENGTH_PREFIX,
    Call,
    Failed,
    Ready,
    Refused,
    Result,
    pack,
)

_ROOT = str(Path(charseq.errors.__file__).parents[1])
# Unlike -m, without the working directory, where a `trainer.py` of the user's may lie.
_START = """\
import sys
root, descriptor, directory, name, trust_model = sys.argv[1:]
sys.path = [path for path in sys.path if path]
if root not in sys.path:
    sys.path.insert(0, root)
from charseq.server.model.process import main
main(int(descriptor), directory, name, trust_model == "True")
"""
_SECONDS_TO_END = 5.0


class ModelProcess:
    """A process that serves one version. `start` makes one.

    ready: what the version is. has_ended: set when the process is gone.
    """

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer
        self._message: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._reading = asyncio.get_running_loop().create_task(self._read())
        self.has_ended = asyncio.Event()
        self.ready: Ready

    @classmethod
    async def start(cls, directory: str, name: str, trust_model: bool) -> ModelProcess:
        """Return the process of a version once it is loaded and checked.

        Args:
            directory: of its SavedModel.
            name: of the version, for messages.
            trust_model: load it even if it does more than compute.

        Raises:
            DataError: it cannot be served.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            arguments = (_ROOT, str(theirs.fileno()), directory, name, str(trust_model))
            process = subprocess.Popen(
                [sys.executable, "-c", _START, *arguments],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C at the terminal is for the server.
            )
        model = cls(process, *await asyncio.open_unix_connection(sock=ours))
        try:
            message = await model._receive()
        except BaseException:
            process.kill()
            await model.close()
            raise
        if not isinstance(message, Ready):
            status = await model.close()
            reason = message.reason if isinstance(message, Refused) else _describe_end(status)
            raise DataError(f"{name}: {reason}")
        model.ready = message
        return model

    async def call(self, call: Call) -> Result:
        """Return the result of a call. One call at a time.

        Raises:
            RequestError: the model fails, or its process has ended.
        """
        with contextlib.suppress(ConnectionError):
            self._writer.write(pack(call))
            await self._writer.drain()
        message = await self._receive()
        if isinstance(message, Failed):
            raise RequestError(STATUS_OF_CODE.get(message.code, INTERNAL), message.message)
        if not isinstance(message, Result):
            raise come_again("the process of the model has ended; another one is being started")
        return message

    async def close(self) -> int:
        """End the process, and return its exit status."""
        self._reading.cancel()
        self.has_ended.set()
        self._writer.close()
        return await asyncio.get_running_loop().run_in_executor(None, _wait, self._process)

    async def _receive(self) -> Any:
        """Return the next message; None if the process has ended."""
        message = await self._message
        if not self.has_ended.is_set():
            self._message = asyncio.get_running_loop().create_future()
        return message

    async def _read(self) -> None:
        """Read messages, each of which is awaited, until the process ends."""
        try:
            while True:
                prefix = await self._reader.readexactly(LENGTH_PREFIX.size)
                data = await self._reader.readexactly(LENGTH_PREFIX.unpack(prefix)[0])
                self._message.set_result(pickle.loads(data))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.has_ended.set()
            if not self._message.done():
                self._message.set_result(None)


def _wait(process: subprocess.Popen[bytes]) -> int:
    try:
        return process.wait(_SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def _describe_end(status: int) -> str:
    how = f"by signal {-status}" if status < 0 else f"with status {status}"
    return f"its process ended {how} while it was loaded"

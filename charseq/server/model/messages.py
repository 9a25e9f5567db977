"""What the server and the process of a model say to each other, through a socket.

A message is a pickle, after its length in 8 bytes. Both ends are this program, and the socket has
no name: nobody else can write to it.
"""

from __future__ import annotations

import pickle
import socket
import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from charseq.text.normalization import Normalization

LENGTH_PREFIX = struct.Struct("!Q")

Array = npt.NDArray[Any]


class TensorSpec(NamedTuple):
    """An input: its dtype as numpy names it, `string` for text; None stands for any size."""

    dtype: str
    shape: tuple[int | None, ...]

    @property
    def is_by_row(self) -> bool:
        """Whether its first dimension counts the rows of a batch."""
        return self.shape[:1] == (None,)


class Signature(NamedTuple):
    """A signature of a model: its inputs by name, and the names of its outputs."""

    inputs: Mapping[str, TensorSpec]
    outputs: tuple[str, ...]


class Ready(NamedTuple):
    """A model was loaded and checked.

    signature_def: its signatures as TensorFlow Serving's metadata have them. max_length: of its
    sequences. batch_rows: the most rows that it computes at once. seconds: what loading took. card:
    as `make_card` returns it.
    """

    signatures: Mapping[str, Signature]
    signature_def: Mapping[str, Any]
    normalization: Normalization
    labels: tuple[str, ...]
    max_length: int
    batch_rows: int
    seconds: float
    card: Mapping[str, Any]


class Refused(NamedTuple):
    """A model that cannot be served, and why."""

    reason: str


class Call(NamedTuple):
    """Some rows for a signature of the model, or for `ASK`.

    columns: inputs whose first dimension are the rows; text as bytes, in an array of objects.
    shared: the other inputs, one for all rows.
    """

    signature: str
    columns: Mapping[str, Array]
    shared: Mapping[str, Any]

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(next(iter(self.columns.values()), ()))


# In place of a signature: what `charseq ask --json` prints, a line a row as output `ANSWER`.
ASK = "charseq ask"
ANSWER = "answer"


class Counted(NamedTuple):
    """What rows had that were labelled: for metrics.

    labels: rows by the number of the label. characters, unknown: read, and those of them outside
    the alphabet. strangeness: (rows,) float32, or nothing where the model does not give it.
    """

    labels: Mapping[int, int]
    characters: int
    unknown: int
    strangeness: npt.NDArray[np.float32]


class Result(NamedTuple):
    """The outputs of a call by name, and what was counted if it labelled rows."""

    outputs: Mapping[str, Array]
    counted: Counted | None = None


class Failed(NamedTuple):
    """A call that has no result; code: TensorFlow's own, as in `absl::StatusCode`."""

    message: str
    code: int


def pack(message: Any) -> bytes:
    """Return a message with its length before it."""
    data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return LENGTH_PREFIX.pack(len(data)) + data


def receive(connection: socket.socket) -> Any:
    """Return the next message; None if the other end is closed."""
    prefix = _receive_exactly(connection, LENGTH_PREFIX.size)
    if prefix is None:
        return None
    data = _receive_exactly(connection, LENGTH_PREFIX.unpack(prefix)[0])
    return None if data is None else pickle.loads(data)


def _receive_exactly(connection: socket.socket, size: int) -> bytes | None:
    data = bytearray()
    while len(data) < size:
        chunk = connection.recv(min(size - len(data), 1 << 20))
        if not chunk:
            return None
        data += chunk
    return bytes(data)

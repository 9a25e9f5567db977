"""Requests that are refused: an HTTP status, and a message as TensorFlow Serving words it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from charseq.console.messages import shorten_message

_MAX_MESSAGE = 1000
# Where a client does well to come again: at once, after the batches that are waiting.
RETRY_SECONDS = 1
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})

# The codes of TensorFlow, and the status that TensorFlow Serving answers with.
_INVALID_ARGUMENT = 3
STATUS_OF_CODE = {
    _INVALID_ARGUMENT: 400,
    4: 504,  # deadline exceeded
    5: 404,  # not found
    8: 429,  # resource exhausted
    9: 400,  # failed precondition
    11: 400,  # out of range
    12: 501,  # not implemented
    14: 503,  # not available
}
INTERNAL = 500


class RequestError(Exception):
    """A request that gets an error in place of an answer.

    status: of HTTP. headers: of the answer, besides those of every answer.
    """

    def __init__(self, status: int, message: str, headers: Mapping[str, str] = _NO_HEADERS) -> None:
        super().__init__(shorten_message(message, _MAX_MESSAGE))
        self.status = status
        self.headers = headers


def invalid(message: str) -> RequestError:
    """Return the error of a request that is not as it must be."""
    return RequestError(400, message)


def too_large(message: str) -> RequestError:
    """Return the error of a request beyond a limit; its connection is closed."""
    return RequestError(413, message, {"Connection": "close"})


def come_again(message: str) -> RequestError:
    """Return the error of a request that could be answered a little later."""
    return RequestError(503, message, {"Retry-After": str(RETRY_SECONDS)})

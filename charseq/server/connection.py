"""A connection that is closed if a request takes too long to arrive.

uvicorn has no such limit: a client that sends a byte now and then would keep its connection, and
the memory of its body, for ever.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol

_BODY = b'{"error":"the request did not arrive in its time"}'
_TOO_SLOW = (
    b"HTTP/1.1 408 Request Timeout\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
    b"Connection: close\r\n\r\n%s" % (len(_BODY), _BODY)
)
_Base: Any = AutoHTTPProtocol


def connection_class(seconds: float) -> type[asyncio.Protocol]:
    """Return a protocol for uvicorn.

    Args:
        seconds: from the first byte of a request, or from the connection, to the request's end.
    """
    return type("TimedConnection", (TimedConnection,), {"seconds": seconds})


class TimedConnection(_Base):
    """uvicorn's protocol with a timer."""

    seconds: float
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self._start_timer()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._is_arriving():
            self._stop_timer()
        elif self._timer is None:
            self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def _is_arriving(self) -> bool:
        """Return whether a request is there in part."""
        cycle = self.cycle
        return cycle is None or cycle.response_complete or cycle.more_body

    def _start_timer(self) -> None:
        self._timer = self.loop.call_later(self.seconds, self._close)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _close(self) -> None:
        self._timer = None
        if self.transport.is_closing():
            return
        cycle = self.cycle
        if cycle is None or cycle.response_complete or not cycle.response_started:
            self.transport.write(_TOO_SLOW)
        self.transport.close()

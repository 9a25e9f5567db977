"""The log: a JSON object a line on standard output, for each request and each event."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any, TextIO

Log = Callable[..., None]


def json_log(stream: TextIO) -> Log:
    """Return a function that writes its named arguments as a line, after the time.

    A reader that has gone is no reason to stop serving: the lines are lost then.
    """

    def write(**fields: Any) -> None:
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        with contextlib.suppress(OSError):
            stream.write(f"{json.dumps({'time': now, **fields})}\n")
            stream.flush()

    return write

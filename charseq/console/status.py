"""The progress of a long run: a line on a terminal, or a line of JSON in a log."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

_FIRST_KEY = '{"stage": '


@dataclass(frozen=True)
class Status:
    """The progress of a stage.

    rows: that it has done. percent, seconds_left: of this stage, None where they are not known.
    seconds: since the run began.
    """

    stage: str
    rows: int = 0
    rows_per_second: int | None = None
    percent: float | None = None
    seconds_left: float | None = None
    seconds: float = 0.0

    def __str__(self) -> str:
        known = [f"{self.stage}: {self.rows:,} rows" if self.rows else self.stage]
        if self.percent is not None:
            known.append(f"{self.percent:.0f} %")
        if self.rows_per_second is not None:
            known.append(f"{self.rows_per_second:,} rows/s")
        if self.seconds_left is not None:
            known.append(f"{self.seconds_left:.0f} s left in this stage")
        return ", ".join([*known, f"{self.seconds:.0f} s so far"])

    def to_json(self) -> str:
        """Return the status as a line of a log, without what is not known."""
        return json.dumps({key: value for key, value in asdict(self).items() if value is not None})

    @classmethod
    def from_json(cls, line: str) -> Status | None:
        """Return the status in a line of a log; None for any other line."""
        if not line.startswith(_FIRST_KEY):
            return None
        try:
            return cls(**json.loads(line))
        except (TypeError, ValueError):
            return None

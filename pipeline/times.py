"""Times in ISO 8601."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

# Not datetime.fromisoformat, which reads more in one version of Python than in another.
_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)"
    r"(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?\s?(Z|[+-]\d\d(?::?\d\d)?)?)?",
    re.ASCII | re.IGNORECASE,
)


def parse_time(text: str) -> datetime:
    """Return a date, at midnight, or a time, to the microsecond; in UTC, also without a zone.

    Raises:
        ValueError: it is neither, as calendar dates of ISO 8601.
    """
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"not a time in ISO 8601: {text!r}")
    *numbers, fraction, zone = match.groups()
    year, month, day, hour, minute, second = (int(number or 0) for number in numbers)
    microsecond = int((fraction or "").ljust(6, "0")[:6])
    time = datetime(year, month, day, hour, minute, second, microsecond, timezone.utc)
    return time - _offset(zone)


def _offset(zone: str | None) -> timedelta:
    if zone is None or zone in "Zz":
        return timedelta(0)
    hours, minutes = int(zone[1:3]), int(zone[3:].lstrip(":") or 0)
    if hours > 23 or minutes > 59:
        raise ValueError(f"no offset from UTC: {zone}")
    return timedelta(hours=hours, minutes=minutes) * (-1 if zone[0] == "-" else 1)


def check_time(text: str) -> str:
    """Return a text that is a time.

    Raises:
        ValueError: it is not; the message is for users.
    """
    try:
        parse_time(text)
    except (ValueError, OverflowError):
        raise ValueError(
            f"got {text!r}, expected a date or a time in ISO 8601, as 2026-01-31 or "
            "2026-01-31T12:00:00+02:00"
        ) from None
    return text

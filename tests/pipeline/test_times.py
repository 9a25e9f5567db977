"""Times in ISO 8601, read alike by every version of Python."""

from __future__ import annotations

from datetime import datetime, timezone

import pyarrow as pa
import pytest

from pipeline.columns.splits import find_splits_by_time
from pipeline.times import check_time, parse_time

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-31", (2026, 1, 31)),
        ("2026-01-31T12:30", (2026, 1, 31, 12, 30)),
        ("2026-01-31 12:30:05.25", (2026, 1, 31, 12, 30, 5, 250_000)),
        ("2026-01-31 12:30:05,123456789", (2026, 1, 31, 12, 30, 5, 123_456)),
        ("2026-01-31T12:30:05Z", (2026, 1, 31, 12, 30, 5)),
        ("2026-01-31T01:30:00+02:00", (2026, 1, 30, 23, 30)),
        ("2026-01-31T23:30:00-0130", (2026, 2, 1, 1, 0)),
        ("2026-01-31 12:30:05 +00", (2026, 1, 31, 12, 30, 5)),
    ],
)
def test_a_time_is_read_in_utc(text: str, expected: tuple[int, ...]) -> None:
    assert parse_time(text) == datetime(*expected, tzinfo=timezone.utc)  # type: ignore[misc,arg-type]


@pytest.mark.parametrize(
    "text",
    [
        *("", "31.01.2026", "2026-1-31", "2026-02-30", "2026-01-31T25:00", "2026", "now"),
        *("1769817600", "0001-01-01T00:00+23:00", "2026-01-31T12", "٢٠٢٦-01-31"),
        *("2026-01-31T12:00+99:99", "2026-01-31T12:00+24:00", "2026-01-31T12:00-01:60"),
    ],
)
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match=r"^got '.*', expected a date or a time in ISO 8601"):
        check_time(text)


def test_rows_are_split_by_time() -> None:
    times = [b"2026-01-01", b" 2026-02-01T00:00 ", b"2026-03-01T00:00+01:00", b"2026-03-01", None]
    column = pa.array([*times, b"later", b"\xff"], pa.binary())
    validation, test = parse_time("2026-02-01"), parse_time("2026-03-01")
    assert find_splits_by_time(column, validation, test).tolist() == [0, 1, 1, 2, -1, -1, -1]
    assert find_splits_by_time(column, None, test).tolist() == [0, 0, 0, 2, -1, -1, -1]
    assert find_splits_by_time(column, validation, None).tolist() == [0, 1, 1, 1, -1, -1, -1]

"""The progress that a run reports."""

from __future__ import annotations

import json
import time
from collections import Counter

import pytest

from charseq.console.status import Status
from pipeline.runtime import progress
from pipeline.runtime.progress import ProgressTracker

pytestmark = pytest.mark.unit


def test_each_stage_has_its_own_speed_and_time_left() -> None:
    tracker = ProgressTracker("starting", total_bytes=4000, now=100.0)
    assert tracker.status(Counter(), 101.0) == Status("starting", seconds=1.0)
    done = Counter(read=10, usable=9, bytes_read=1000)
    assert tracker.status(done, 102.0) == Status("reading", 10, percent=25.0, seconds=2.0)
    done = Counter(read=30, usable=27, bytes_read=3000)
    assert tracker.status(done, 105.0) == Status("reading", 30, 10, 75.0, 1.0, 5.0)
    done += Counter(read=10, usable=9, bytes_read=1000, shuffled=9)
    assert tracker.status(done, 106.0) == Status("shuffling", 9, percent=25.0, seconds=6.0)
    done += Counter(shuffled=27, written=18)
    tracker.status(done, 108.0)
    assert tracker.status(done, 110.0) == Status("writing", 18, 9, 50.0, 2.0, 10.0)


def test_status_as_text() -> None:
    assert str(Status("starting", seconds=3.2)) == "starting, 3 s so far"
    assert str(Status("reading", 286_644, 410_000, 26.5, 2.0, 10.4)) == (
        "reading: 286,644 rows, 26 %, 410,000 rows/s, 2 s left in this stage, 10 s so far"
    )
    assert str(Status("reading", 5, 10, seconds=1.0)) == "reading: 5 rows, 10 rows/s, 1 s so far"


def test_json_lines_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "_SECONDS_IN_A_LOG", 0.01)
    with progress.show_progress("starting", total_bytes=100):
        progress.advance(read=7, usable=6, bytes_read=50)
        time.sleep(0.1)
    last = json.loads(capsys.readouterr().err.splitlines()[-1])
    assert (last["stage"], last["rows"], last["percent"]) == ("reading", 7, 50.0)

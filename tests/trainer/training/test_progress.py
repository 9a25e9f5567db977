from __future__ import annotations

import pytest

from trainer.training.progress import Progress, format_duration
from trainer.training.state import MetricSums, TrainState

pytestmark = pytest.mark.unit

SECOND_EPOCH = TrainState(epoch=2, step=3, total_steps=13, sums=MetricSums(15.0, 20.0, 30.0, 0.0))


def test_a_log_gets_a_line_twice_a_minute(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 100.0
    monkeypatch.setattr("trainer.training.progress.time.monotonic", lambda: now)
    progress = Progress(epochs=3, rows=100, steps=10, start=TrainState())
    for now in (129.0, 130.0, 131.0, 160.0):  # noqa: B007 - read by the clock
        progress.update(SECOND_EPOCH)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "epoch 2/3, step 3/10: 4 rows/s, loss 0.5000, accuracy 0.6667, 0:39 left",
        "epoch 2/3, step 3/10: 2 rows/s, loss 0.5000, accuracy 0.6667, 1:18 left",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0:00"), (59.6, "1:00"), (3599, "59:59"), (3600, "1:00:00")]
)
def test_a_duration_is_minutes_and_seconds(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text

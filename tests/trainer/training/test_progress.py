from __future__ import annotations

import pytest

from trainer.steps.metrics import MetricSums, Score
from trainer.training.progress import Progress, format_duration
from trainer.training.state import Epoch, TrainState

pytestmark = pytest.mark.unit

FIRST = Epoch(1, Score(1.0, 0.5), None, 50.0, 2.0, 0.0, 0.01)


def state_of(epoch: int, rows: float, seconds: float) -> TrainState:
    sums = MetricSums(rows / 2, rows / 4, rows, 0.0)
    return TrainState(epoch, step=3, sums=sums, seconds=seconds, epochs=(FIRST,) * (epoch - 1))


def test_a_log_gets_a_line_twice_a_minute(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 100.0
    monkeypatch.setattr("trainer.training.progress.time.monotonic", lambda: now)
    progress = Progress(epochs=3, rows=100, steps=10)
    # The compiler takes 40 of the first 42 seconds; then there are two rows a second. Validations
    # make the clock run on.
    for now, state in (  # noqa: B007 - read by the clock
        (142.0, state_of(1, 4, 42.0)),
        (143.0, state_of(1, 6, 43.0)),
        (171.0, state_of(1, 20, 50.0)),
        (172.0, state_of(1, 22, 51.0)),
        (230.0, state_of(2, 8, 44.0)),
        (231.0, state_of(2, 10, 45.0)),
    ):
        progress.update(state)
    assert capsys.readouterr().err.splitlines() == [
        "epoch 1/3, step 3/10: loss 0.5000, accuracy 0.2500",
        "epoch 1/3, step 3/10: 2 rows/s, loss 0.5000, accuracy 0.2500, 2:19 left",
        "epoch 2/3, step 3/10: 2 rows/s, loss 0.5000, accuracy 0.2500, 1:36 left",
    ]


def test_a_run_that_resumes_counts_from_its_own_first_steps(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 0.0
    monkeypatch.setattr("trainer.training.progress.time.monotonic", lambda: now)
    progress = Progress(epochs=3, rows=100, steps=10)
    for now, state in (  # noqa: B007 - read by the clock
        (20.0, state_of(3, 40, 1000.0)),
        (30.0, state_of(3, 60, 1005.0)),
    ):
        progress.update(state)
    line = "epoch 3/3, step 3/10: 4 rows/s, loss 0.5000, accuracy 0.2500, 0:10 left"
    assert capsys.readouterr().err.splitlines() == [line]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0:00"), (59.6, "1:00"), (3599, "59:59"), (3600, "1:00:00")]
)
def test_a_duration_is_minutes_and_seconds(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text

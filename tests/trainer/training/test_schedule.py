from __future__ import annotations

import pytest

from trainer.settings import Settings
from trainer.steps.metrics import Score
from trainer.training.schedule import count_plateaus, learning_rate, stops_early
from trainer.training.state import Epoch, TrainState

pytestmark = pytest.mark.unit


def config(**options):
    return Settings(data=("d",), output="o", learning_rate=0.4, **options)


def epochs(*losses):
    return tuple(
        Epoch(number, Score(9.0, 0.0), Score(loss, 0.5), 1.0, 1.0, 0.0, 0.1)
        for number, loss in enumerate(losses, start=1)
    )


@pytest.mark.parametrize(
    ("total_steps", "rate"), [(0, 0.4), (10, 0.3414213562), (20, 0.2), (40, 0.0)]
)
def test_cosine_goes_from_the_rate_to_zero_over_all_steps(total_steps, rate):
    state = TrainState(total_steps=total_steps)
    cosine = config(schedule="cosine", epochs=4)
    assert learning_rate(cosine, state, steps_per_epoch=10) == pytest.approx(rate)
    assert learning_rate(config(epochs=4), state, steps_per_epoch=10) == 0.4


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ((), 0),
        ((3.0, 2.0, 1.0), 0),
        ((1.0, 1.0, 1.0), 1),
        ((1.0, 2.0, 0.5, 0.6, 0.7), 1),
        ((1.0, 2.0, 2.0, 2.0, 2.0), 2),
    ],
)
def test_plateau_halves_after_two_epochs_that_were_not_better(losses, expected):
    assert count_plateaus(epochs(*losses)) == expected
    rate = learning_rate(config(schedule="plateau"), TrainState(epochs=epochs(*losses)), 10)
    assert rate == 0.4 / 2**expected


@pytest.mark.parametrize(
    ("losses", "patience", "stops"),
    [
        ((), 1, False),
        ((1.0, 2.0, 3.0), 2, True),
        ((1.0, 2.0, 3.0), 3, False),
        ((1.0, 2.0), 0, False),
    ],
)
def test_an_early_stop_is_so_many_epochs_after_the_best(losses, patience, stops):
    assert stops_early(config(early_stop=patience), epochs(*losses)) is stops

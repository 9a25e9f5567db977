"""Divergence: a training whose loss shows that its weights are broken, and must not be kept."""

from __future__ import annotations

import math

from charseq.errors import DataError
from trainer.run_checks import format_flag
from trainer.settings import Settings

# A model that gives every label the same probability has a loss of ln(labels). A poor model exceeds
# that by a little; a thousand times as much is reached only by weights that have exploded.
_TIMES_A_GUESS = 1000.0
_FLAGS = ("learning_rate", "clip_norm")


def largest_sound_loss(num_labels: int) -> float:
    """Return the mean loss, in nats, above which a training has diverged."""
    return _TIMES_A_GUESS * math.log(max(num_labels, 2))


def check_sound(loss: float, num_labels: int, where: str, settings: Settings) -> None:
    """Check that a mean loss, in nats, is one that a model can have.

    Args:
        loss: of some steps.
        num_labels: of the dataset.
        where: names the steps.
        settings: the options of the run.

    Raises:
        DataError: it is not finite, or far above that of guessing.
    """
    if loss <= largest_sound_loss(num_labels):  # False for NaN.
        return
    flags = (format_flag(name, getattr(settings, name)) for name in _FLAGS)
    raise DataError(
        f"the training diverged: loss {loss:.4g} {where} with {', '.join(flags)}: nothing is "
        "exported; begin anew (--resume never) with a lower --learning-rate, or with a --clip-norm "
        "such as 1"
    )

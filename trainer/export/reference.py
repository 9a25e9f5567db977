"""What the validation rows of a dataset say about the answers of its model."""

from __future__ import annotations

from typing import NamedTuple

import keras

from charseq.models.calibration import Calibration
from trainer.calibration.fit import calibrate
from trainer.data.dataset import Dataset
from trainer.strangeness.fit import fit_strangeness
from trainer.strangeness.model import StrangenessModel


class Reference(NamedTuple):
    """How sure the model may be, and how strange a text is."""

    calibration: Calibration
    strangeness: StrangenessModel


def make_reference(model: keras.Model, representation: str, dataset: Dataset) -> Reference | None:
    """Return what the validation rows say of a model; None if there are none.

    Raises:
        DataError: as `trainer.calibration.fit.calibrate`.
    """
    calibration = calibrate(model, representation, dataset)
    strangeness = fit_strangeness(dataset)
    return Reference(calibration, strangeness) if calibration and strangeness else None

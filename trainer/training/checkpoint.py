"""Checkpoints: all that a run needs to go on at the next step as if nothing had happened.

`checkpoints/step-0000001234.npz` holds every variable of the model and of the optimizer, bit by
bit, and as JSON where the run was; `checkpoints/best.npz` those of the model after its best epoch.
Each appears by a rename, when it is whole and on the disk.
"""

from __future__ import annotations

import glob
import json
import os
import sys
import time
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict

import keras
import numpy as np
import numpy.typing as npt

from trainer.config import Interval
from trainer.run_directory import CHECKPOINTS
from trainer.training.state import TrainState

_STEPS_DIGITS = 10
_BEST = "best.npz"

Array = npt.NDArray[np.generic]


class Checkpoints:
    """The checkpoints of a run, of which the newest `keep` stay, and its best weights."""

    def __init__(
        self,
        output: str,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        every: Interval,
        keep: int,
    ) -> None:
        self.output = output
        self._directory = os.path.join(output, CHECKPOINTS)
        self._model = model
        # Always in the same order.
        self._variables = [*model.variables, *optimizer.variables]
        self._every = every
        self._keep = keep
        self._saved_at = time.monotonic()
        self._saved_steps = 0

    def save_if_due(self, position: TrainState) -> None:
        """Save once the interval is over."""
        seconds, steps = time.monotonic() - self._saved_at, position.total_steps - self._saved_steps
        if steps >= self._every.steps or seconds >= self._every.seconds:
            self.save(position)

    def save(self, position: TrainState) -> None:
        """Write a checkpoint and remove those that are too old."""
        name = f"step-{position.total_steps:0{_STEPS_DIGITS}}.npz"
        where = {"position": np.array(json.dumps(asdict(position)))}
        self._write(name, self._variables, where)
        for old in _paths(self._directory)[: -self._keep]:
            os.remove(old)
        self._saved_at, self._saved_steps = time.monotonic(), position.total_steps

    def save_best(self) -> None:
        """Keep the weights of the model as the best so far."""
        self._write(_BEST, self._model.variables, {})

    def restore_best(self) -> None:
        """Set the variables of the model to the best weights."""
        with np.load(os.path.join(self._directory, _BEST)) as archive:
            _assign(self._model.variables, archive)

    def restore(self, output: str) -> TrainState:
        """Set the variables to a run's newest whole checkpoint; if there is none, leave them.

        A checkpoint that cannot be read is passed over, and named on standard error.
        """
        for path in reversed(_paths(os.path.join(output, CHECKPOINTS))):
            try:
                with np.load(path) as archive:  # A zip file: a flipped bit shows in its CRC.
                    position = TrainState.from_json(json.loads(str(archive["position"])))
                    _assign(self._variables, archive)
            except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as e:
                print(f"{path}: broken, trying the one before it: {e}", file=sys.stderr)
                continue
            self._saved_steps = position.total_steps
            return position
        return TrainState()

    def _write(
        self, name: str, variables: Sequence[keras.Variable], more: Mapping[str, Array]
    ) -> None:
        os.makedirs(self._directory, exist_ok=True)
        path = os.path.join(self._directory, name)
        values = {
            f"arr_{number}": keras.ops.convert_to_numpy(variable)
            for number, variable in enumerate(variables)
        }
        with open(f"{path}.tmp", "wb") as file:
            np.savez(file, allow_pickle=False, **values, **more)
            file.flush()
            os.fsync(file.fileno())
        os.replace(f"{path}.tmp", path)


def _paths(directory: str) -> list[str]:
    """Of all checkpoints, the oldest first."""
    return sorted(glob.glob(os.path.join(glob.escape(directory), "step-*.npz")))


def _assign(variables: Sequence[keras.Variable], archive: Mapping[str, Array]) -> None:
    values = [archive[f"arr_{number}"] for number in range(len(variables))]
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)

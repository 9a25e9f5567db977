"""Checkpoints: all that a run needs to go on at the next step as if nothing had happened.

`checkpoints/step-0000001234.npz` holds every variable of the model and of the optimizer, bit by
bit, and as JSON where the run was. It appears by a rename, when it is whole and on the disk.
"""

from __future__ import annotations

import glob
import json
import os
import sys
import time
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import asdict

import keras
import numpy as np
import numpy.typing as npt

from trainer.config import Interval
from trainer.position import Position
from trainer.run_directory import CHECKPOINTS

_STEPS_DIGITS = 10


class Checkpoints:
    """The checkpoints of a run, of which the newest `keep` stay.

    variables: of the model and the optimizer, always in the same order.
    """

    def __init__(
        self, directory: str, variables: Sequence[keras.Variable], every: Interval, keep: int
    ) -> None:
        self._directory = os.path.join(directory, CHECKPOINTS)
        self._variables = variables
        self._every = every
        self._keep = keep
        self._saved_at = time.monotonic()
        self._saved_steps = 0

    def save_if_due(self, position: Position) -> None:
        """Save once the interval is over."""
        seconds, steps = time.monotonic() - self._saved_at, position.total_steps - self._saved_steps
        if steps >= self._every.steps or seconds >= self._every.seconds:
            self.save(position)

    def save(self, position: Position) -> None:
        """Write a checkpoint and remove those that are too old."""
        os.makedirs(self._directory, exist_ok=True)
        name = f"step-{position.total_steps:0{_STEPS_DIGITS}}.npz"
        path = os.path.join(self._directory, name)
        with open(f"{path}.tmp", "wb") as file:
            values = [keras.ops.convert_to_numpy(variable) for variable in self._variables]
            np.savez(file, *values, position=np.array(json.dumps(asdict(position))))
            file.flush()
            os.fsync(file.fileno())
        os.replace(f"{path}.tmp", path)
        for old in self._paths()[: -self._keep]:
            os.remove(old)
        self._saved_at, self._saved_steps = time.monotonic(), position.total_steps

    def restore(self) -> Position:
        """Set the variables to the newest whole checkpoint; if there is none, leave them.

        A checkpoint that cannot be read is passed over, and named on standard error.
        """
        for path in reversed(self._paths()):
            try:
                position, values = _read(path, len(self._variables))
            except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as e:
                print(f"{path}: broken, trying the one before it: {e}", file=sys.stderr)
                continue
            for variable, value in zip(self._variables, values, strict=True):
                variable.assign(value)
            self._saved_steps = position.total_steps
            return position
        return Position()

    def _paths(self) -> list[str]:
        """Of all checkpoints, the oldest first."""
        return sorted(glob.glob(os.path.join(glob.escape(self._directory), "step-*.npz")))


def _read(path: str, count: int) -> tuple[Position, list[npt.NDArray[np.generic]]]:
    with np.load(path) as archive:  # A zip file: what is torn or flipped has another CRC.
        content = json.loads(str(archive["position"]))
        values = [archive[f"arr_{number}"] for number in range(count)]
    return Position.from_json(content), values

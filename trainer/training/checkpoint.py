"""Checkpoints: all that a run needs to continue as if it had not been interrupted.

`checkpoints/step-0000001234.npz` holds every variable of the model and of the optimizer, bit by
bit, and the `TrainState` as JSON under `state`; `checkpoints/best.npz` holds the variables of the
model after its best epoch. Each appears by a rename once it is whole and on the disk.

A variable is stored under `model/` or `optimizer/` and its path. Earlier versions numbered them,
`arr_0`, `arr_1`, … in the order of the variables, and named the state `position`.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from itertools import count

import keras
import numpy as np
import numpy.typing as npt

from charseq.errors import DataError
from charseq.files import whole_file
from trainer.config import Interval
from trainer.run_directory import CHECKPOINTS
from trainer.training.state import TrainState

_STEP_DIGITS = 10
_STEP_FILE = re.compile(rf"step-\d{{{_STEP_DIGITS},}}\.npz")
_BEST = "best.npz"
_STATE, _STATE_OF_EARLIER_VERSIONS = "state", "position"
# What numpy raises for a file that was cut off or whose bits have changed.
_READ_ERRORS = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)

_OF_ANOTHER_MODEL = (
    "the checkpoint is of another model; begin anew with --resume never or in another --output"
)
_SEED_GENERATOR = re.compile(r"seed_generator(_\d+)?/seed_generator_state")

Array = npt.NDArray[np.generic]
Variables = Mapping[str, keras.Variable]


class Checkpoints:
    """The checkpoints of a run, of which the newest `keep` stay, and its best weights.

    A checkpoint holds the weights after an update, but only the loss of a later step shows whether
    that update broke them. Until then it is unconfirmed, and no earlier one is removed for it.

    check: called before anything is saved; raises a DataError if nothing may be.
    """

    def __init__(
        self,
        output: str,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        every: Interval,
        keep: int,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self.output = output
        self.check = check
        self._directory = os.path.join(output, CHECKPOINTS)
        self._model_variables = keyed_variables("model", model.variables)
        optimizer_variables = keyed_variables("optimizer", optimizer.variables)
        self._variables = {**self._model_variables, **optimizer_variables}
        self._every = every
        self._keep = keep
        self._saved_at = time.monotonic()
        self._saved_steps = 0
        self._unconfirmed: str | None = None

    def save_if_due(self, state: TrainState) -> None:
        """Save if the interval since the last checkpoint is over."""
        seconds, steps = time.monotonic() - self._saved_at, state.total_steps - self._saved_steps
        if steps >= self._every.steps or seconds >= self._every.seconds:
            self.save(state)

    def save(self, state: TrainState) -> None:
        """Write a checkpoint, unconfirmed."""
        self.check()
        path = os.path.join(self._directory, f"step-{state.total_steps:0{_STEP_DIGITS}}.npz")
        state_json = np.array(json.dumps(asdict(state), allow_nan=False))
        _write(path, {**_values(self._variables), _STATE: state_json})
        self._unconfirmed = path
        self._saved_at, self._saved_steps = time.monotonic(), state.total_steps

    def confirm(self) -> None:
        """Note that the newest checkpoint holds sound weights, and remove the oldest ones."""
        if self._unconfirmed:
            self._unconfirmed = None
            for old in _step_paths(self._directory)[: -self._keep]:
                os.remove(old)

    def discard_unconfirmed(self) -> None:
        """Remove the newest checkpoint, unless it is confirmed."""
        if self._unconfirmed:
            os.remove(self._unconfirmed)
            self._unconfirmed = None

    def save_best(self) -> None:
        """Write the weights of the model as the best so far."""
        self.check()
        _write(os.path.join(self._directory, _BEST), _values(self._model_variables))

    def restore_best(self) -> None:
        """Set the variables of the model to the best weights."""
        path = os.path.join(self._directory, _BEST)
        _assign(self._model_variables, _read(path), path)

    def restore(self, output: str) -> TrainState:
        """Set the variables to a run's newest whole checkpoint; without one, leave them.

        A checkpoint that cannot be read is passed over, and reported on standard error.

        Raises:
            DataError: the checkpoint is of another model.
        """
        for path in reversed(_step_paths(os.path.join(output, CHECKPOINTS))):
            try:
                values = _read(path)
                state = _pop_state(values)
            except _READ_ERRORS as error:
                print(f"{path}: broken, trying the one before it: {error}", file=sys.stderr)
                continue
            _assign(self._variables, values, path)
            self._saved_steps = state.total_steps
            # That of an epoch's end is confirmed; that of another process is not this one's.
            if state.step and output == self.output:
                self._unconfirmed = path
            return state
        return TrainState()


def keyed_variables(prefix: str, variables: Sequence[keras.Variable]) -> dict[str, keras.Variable]:
    """Return variables by `prefix` and path, in their order.

    Keras gives the seed generators of dropout numbers that count all that the process has built.
    Here they count from 0, so that a model has the same keys wherever it is built.
    """
    numbers = count()

    def key(path: str) -> str:
        if _SEED_GENERATOR.fullmatch(path):
            path = f"seed_generator_{next(numbers)}"
        return f"{prefix}/{path}"

    return {key(variable.path): variable for variable in variables}


def _values(variables: Variables) -> dict[str, Array]:
    return {key: keras.ops.convert_to_numpy(variable) for key, variable in variables.items()}


def _step_paths(directory: str) -> list[str]:
    """Return the paths of all checkpoints, the oldest first; files of other names are not ours."""
    names = os.listdir(directory) if os.path.isdir(directory) else []
    steps = [name for name in names if _STEP_FILE.fullmatch(name)]
    return [os.path.join(directory, name) for name in sorted(steps)]


def _write(path: str, values: Mapping[str, Array]) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with whole_file(path) as file:
        np.savez(file, allow_pickle=False, **values)


def _read(path: str) -> dict[str, Array]:
    """Return all that a file holds; its CRCs are checked on the way."""
    with np.load(path) as archive:
        return dict(archive)


def _pop_state(values: dict[str, Array]) -> TrainState:
    """Remove the state from the content of a checkpoint and return it."""
    name = _STATE if _STATE in values else _STATE_OF_EARLIER_VERSIONS
    return TrainState.from_json(json.loads(str(values.pop(name))))


def _assign(variables: Variables, values: Mapping[str, Array], path: str) -> None:
    """Set all variables, or none if the values are of others.

    Raises:
        DataError: the names or the shapes differ.
    """
    keys = {f"arr_{number}": key for number, key in enumerate(variables)}
    values = {keys.get(name, name): value for name, value in values.items()}
    if different := set(values) ^ set(variables):
        held = "it has" if min(different) in values else "it lacks"
        raise DataError(f"{path}: {held} {min(different)}: {_OF_ANOTHER_MODEL}")
    for key, variable in variables.items():
        got, expected = values[key].shape, tuple(variable.shape)
        if got != expected:
            raise DataError(
                f"{path}: {key}: got shape {got}, expected {expected}: {_OF_ANOTHER_MODEL}"
            )
    for key, variable in variables.items():
        variable.assign(values[key])

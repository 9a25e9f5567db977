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
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import count
from typing import Protocol

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from charseq.errors import DataError
from charseq.files import whole_file
from trainer.archives import ARCHIVE_DAMAGE
from trainer.config import Interval
from trainer.run_directory import BEST_WEIGHTS, CHECKPOINTS
from trainer.training.state import TrainState, best_epoch

_STEP_DIGITS = 10
_STEP_FILE = re.compile(rf"step-\d{{{_STEP_DIGITS},}}\.npz")
_STATE, _STATE_OF_EARLIER_VERSIONS = "state", "position"

_OF_ANOTHER_MODEL = (
    "the checkpoint is of another model; begin anew with --resume never or in another --output"
)
_SEED_GENERATOR = re.compile(r"seed_generator(_\d+)?/seed_generator_state")

Array = npt.NDArray[np.generic]


class Variable(Protocol):
    """What a checkpoint holds: a variable of Keras, or a part of a table of n-grams.

    shape: of its value; None where that may have any number of rows.
    """

    @property
    def shape(self) -> tuple[int | None, ...]:
        """The shape."""

    def numpy(self) -> Array:
        """Return its value."""

    def assign(self, value: Array) -> object:
        """Set its value."""


Variables = Mapping[str, Variable]


class Checkpoints:
    """The checkpoints of a run, of which the newest `keep` stay, and its best weights.

    A checkpoint holds the weights after an update, but only the loss of a later step shows whether
    that update broke them. Until then it is unconfirmed, and no earlier one is removed for it.

    model_variables, optimizer_variables: by the keys under which they are stored, such as those of
        `keyed_variables`, in the order in which they are restored.
    best_by: what the best epoch is chosen by; see `best_epoch`.
    check: called before anything is saved; raises a DataError if nothing may be.
    """

    def __init__(
        self,
        output: str,
        model_variables: Variables,
        optimizer_variables: Variables,
        every: Interval,
        keep: int,
        best_by: str = "loss",
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self.output = output
        self.check = check
        self._directory = os.path.join(output, CHECKPOINTS)
        self._model_variables = model_variables
        self._variables = {**model_variables, **optimizer_variables}
        self._every = every
        self._keep = keep
        self._best_by = best_by
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
        _write(os.path.join(self._directory, BEST_WEIGHTS), _values(self._model_variables))

    def begin_with(self, values: Mapping[str, Array], path: str) -> None:
        """Set the variables of the model to weights that were made from those of a file.

        Raises:
            DataError: they are of another model.
        """
        _assign(self._model_variables, values, path)

    def restore_best(self) -> None:
        """Set the variables of the model to the best weights.

        Raises:
            DataError: they cannot be read, or are of another model.
        """
        path = os.path.join(self._directory, BEST_WEIGHTS)
        try:
            values = _read(path)
        except ARCHIVE_DAMAGE as error:
            raise DataError(
                f"{path}: broken: {error}; give the same command again: it makes them anew from "
                "the other checkpoints"
            ) from error
        _assign(self._model_variables, values, path)

    def restore(self, output: str) -> TrainState:
        """Set the variables to a run's newest whole checkpoint; without one, leave them.

        What cannot be read is passed over, and reported on standard error. If it is the best
        weights, they are made anew, with as few steps as the other checkpoints allow.

        Raises:
            DataError: the checkpoint is of another model.
        """
        directory = os.path.join(output, CHECKPOINTS)
        found = next(_whole_checkpoints(directory, report=True), None)
        if found:
            _check_fit(self._variables, found.values, found.path)
            if found.state.epochs and not self._copy_best(directory):
                found = self._make_best_anew(directory, found)
        if found is None:
            return TrainState()
        _assign(self._variables, found.values, found.path)
        self._saved_steps = found.state.total_steps
        # That of an epoch's end is confirmed; that of another process is not this one's.
        if found.state.step and output == self.output:
            self._unconfirmed = found.path
        return found.state

    def _copy_best(self, directory: str) -> bool:
        """Copy the best weights of a run, unless they are this process's; return if they are whole.

        Workers that are not the chief have the checkpoints of the chief, and a directory of theirs.
        """
        path = os.path.join(directory, BEST_WEIGHTS)
        try:
            values = _read(path)
        except ARCHIVE_DAMAGE as error:
            print(f"{path}: broken, making the best weights anew: {error}", file=sys.stderr)
            return False
        if directory != self._directory:
            _write(os.path.join(self._directory, BEST_WEIGHTS), values)
        return True

    def _make_best_anew(self, directory: str, newest: _Checkpoint) -> _Checkpoint | None:
        """Write the best weights from the checkpoint at the end of the best epoch.

        Returns:
            The checkpoint to go on from: the newest one or, if that of its best epoch is gone, an
            older one that leads to that epoch again. None: the run has to begin again.
        """
        found = None
        for each in _whole_checkpoints(directory):
            if each.holds_best(self._best_by):
                _assign(self._variables, each.values, each.path)
                self.save_best()
                same_best = each.best_epoch(self._best_by) == newest.best_epoch(self._best_by)
                return newest if same_best else self._go_back(directory, each)
            if not each.state.epochs:
                found = each
                break
        return self._go_back(directory, found)

    def _go_back(self, directory: str, to: _Checkpoint | None) -> _Checkpoint | None:
        """Remove all newer checkpoints: the run takes their steps again."""
        where = f"step {to.state.total_steps:,}" if to else "the beginning"
        print(f"{directory}: going back to {where} for the best weights", file=sys.stderr)
        if directory == self._directory:
            for path in _step_paths(directory):
                if not to or path > to.path:
                    os.remove(path)
        return to


@dataclass(frozen=True)
class _Checkpoint:
    """A checkpoint that was read: its path, its variables by key, and its state."""

    path: str
    values: dict[str, Array]
    state: TrainState

    def best_epoch(self, by: str) -> int:
        """The number of the best epoch so far."""
        return best_epoch(self.state.epochs, by).number

    def holds_best(self, by: str) -> bool:
        """Whether its weights are those at the end of the best epoch so far."""
        epochs = self.state.epochs
        return bool(epochs) and self.state.step == 0 and self.best_epoch(by) == epochs[-1].number


def _whole_checkpoints(directory: str, *, report: bool = False) -> Iterator[_Checkpoint]:
    """Yield the checkpoints that can be read, the newest first; report the others, if asked to."""
    for path in reversed(_step_paths(directory)):
        try:
            values = _read(path)
            state = _pop_state(values)
        except ARCHIVE_DAMAGE as error:
            if report:
                print(f"{path}: broken, trying the one before it: {error}", file=sys.stderr)
            continue
        yield _Checkpoint(path, values, state)


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
    return {key: variable.numpy() for key, variable in variables.items()}


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


def read_weights(path: str, variables: Variables) -> dict[str, Array]:
    """Return the best weights of a run by the keys of the variables of a model.

    Raises:
        one of ARCHIVE_DAMAGE: the file cannot be read.
    """
    return _by_key(variables, _read(path))


def _pop_state(values: dict[str, Array]) -> TrainState:
    """Remove the state from the content of a checkpoint and return it."""
    name = _STATE if _STATE in values else _STATE_OF_EARLIER_VERSIONS
    return TrainState.from_json(json.loads(str(values.pop(name))))


def _assign(variables: Variables, values: Mapping[str, Array], path: str) -> None:
    """Set all variables, or none if the values are of others.

    Raises:
        DataError: the names or the shapes differ.
    """
    _check_fit(variables, values, path)
    values = _by_key(variables, values)
    for key, variable in variables.items():
        variable.assign(values[key])


def _check_fit(variables: Variables, values: Mapping[str, Array], path: str) -> None:
    """Check that values are those of the variables of a model.

    Raises:
        DataError: the names or the shapes differ.
    """
    values = _by_key(variables, values)
    if different := set(values) ^ set(variables):
        held = "it has" if min(different) in values else "it lacks"
        raise DataError(f"{path}: {held} {min(different)}: {_OF_ANOTHER_MODEL}")
    for key, variable in variables.items():
        got, expected = values[key].shape, tuple(variable.shape)
        if not tf.TensorShape(got).is_compatible_with(expected):
            raise DataError(
                f"{path}: {key}: got shape {got}, expected {expected}: {_OF_ANOTHER_MODEL}"
            )


def _by_key(variables: Variables, values: Mapping[str, Array]) -> dict[str, Array]:
    """Return values by the keys of their variables; earlier versions numbered them."""
    keys = {f"arr_{number}": key for number, key in enumerate(variables)}
    return {keys.get(name, name): value for name, value in values.items()}

"""Where the SavedModel is that a user names: of a run, in a registry, or itself."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from charseq.errors import DataError
from charseq.models.runs import RUN_MODEL
from charseq.models.saved_model import (
    CURRENT_VERSION,
    DATASET_ASSET,
    POINTER_FILE,
    RUN_FILE,
    SAVED_MODEL_FILE,
)
from charseq.stores.addresses import is_address

_VERSION = re.compile("[1-9][0-9]*")
_NAME = re.compile(r'^ *name: *"([^"\\/:]+)" *$', re.MULTILINE)


class Located(NamedTuple):
    """A SavedModel directory, and the directory of its run; None where that is not known."""

    directory: str
    run: str | None = None


def locate_model(path: str) -> Located:
    """Return the SavedModel of a run directory, of a registry, or that `path` is itself.

    Of a registry it is the current version, by its `models.config`; without that file, as in a
    directory of another program, the one of the highest number.

    Raises:
        DataError: it is none of these or not on this machine, the run is not complete, or the
            SavedModel is not one that the trainer exported.
    """
    if is_address(path):
        raise DataError(f"{path}: only a model on this machine can be loaded; copy it here")
    if not os.path.isdir(path):
        raise DataError(f"{path}: no such directory")
    located = _locate(path)
    for name in (SAVED_MODEL_FILE, DATASET_ASSET):
        if not os.path.exists(os.path.join(located.directory, name)):
            raise DataError(
                f"{located.directory} holds no {name}: not a model that the trainer exported"
            )
    return located


def _locate(path: str) -> Located:
    if os.path.exists(os.path.join(path, RUN_FILE)):
        return Located(os.path.join(path, RUN_MODEL), path)
    if os.path.exists(os.path.join(path, RUN_MODEL)) or _holds_partial_run(path):
        raise DataError(f"{path} holds no {RUN_FILE}: its training did not finish")
    if os.path.exists(os.path.join(path, POINTER_FILE)):
        return Located(os.path.join(path, str(current_version(path))))
    if os.path.exists(os.path.join(path, SAVED_MODEL_FILE)):
        return Located(path, _run_around(path))
    if versions := [int(name) for name in os.listdir(path) if _VERSION.fullmatch(name)]:
        return Located(os.path.join(path, str(max(versions))))
    raise DataError(
        f"{path}: not a run, a registry or a SavedModel: it holds no {RUN_FILE}, no {POINTER_FILE} "
        f"and no {SAVED_MODEL_FILE}"
    )


def _holds_partial_run(path: str) -> bool:
    return os.path.exists(os.path.join(path, f"{RUN_FILE}.partial"))


def _run_around(path: str) -> str | None:
    """Return the run whose `saved_model` a directory is, None if it is not one's."""
    run, name = os.path.split(os.path.abspath(path))
    is_of_run = name == RUN_MODEL and os.path.exists(os.path.join(run, RUN_FILE))
    return run if is_of_run else None


def current_version(registry: str, name: str | None = None) -> int:
    """Return the number of a registry's current version.

    Args:
        registry: its directory.
        name: of the registry in messages; None for its directory.

    Raises:
        DataError: there is none, or `models.config` does not say which.
    """
    name = name or registry
    versions = CURRENT_VERSION.findall(_read_pointer(registry, name))
    if len(versions) != 1 or int(versions[0]) == 0:
        raise DataError(f"{os.path.join(name, POINTER_FILE)}: names no current model")
    return int(versions[0])


def served_name(registry: str, name: str | None = None) -> str:
    """Return the name under which the model of a registry is served, by its `models.config`.

    Args:
        registry: its directory.
        name: of the registry in messages; None for its directory.

    Raises:
        DataError: it gives no name.
    """
    name = name or registry
    names = _NAME.findall(_read_pointer(registry, name))
    if len(names) != 1:
        raise DataError(
            f"{os.path.join(name, POINTER_FILE)}: got {len(names)} times 'name: \"…\"', "
            "expected it once"
        )
    return str(names[0])


def _read_pointer(registry: str, name: str) -> str:
    path = os.path.join(registry, POINTER_FILE)
    if not os.path.exists(path):
        raise DataError(f"{name} holds no {POINTER_FILE}: not a registry, or empty")
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()

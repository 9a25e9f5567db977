"""Where the SavedModel is that a user names by a run, a registry or itself."""

from __future__ import annotations

import os

from charseq.errors import DataError
from charseq.models.runs import RUN_MODEL
from charseq.models.saved_model import (
    CURRENT_VERSION,
    DATASET_ASSET,
    POINTER_FILE,
    SAVED_MODEL_FILE,
)

_REMOTE = "://"


def find_saved_model(path: str) -> str:
    """Return the SavedModel directory of a run, of a registry's current version, or `path` itself.

    Raises:
        DataError: it is none of these or not on this machine, the registry has no current version,
            or the SavedModel is not one that the trainer exported.
    """
    if _REMOTE in path:
        raise DataError(f"{path}: only a directory of this machine can be asked; copy it here")
    if not os.path.isdir(path):
        raise DataError(f"{path}: no such directory")
    directory = _locate(path)
    for name in (SAVED_MODEL_FILE, DATASET_ASSET):
        if not os.path.isfile(os.path.join(directory, name)):
            raise DataError(f"{directory} holds no {name}: not a model that the trainer exported")
    return directory


def _locate(path: str) -> str:
    if os.path.exists(os.path.join(path, SAVED_MODEL_FILE)):
        return path
    if os.path.isdir(os.path.join(path, RUN_MODEL)):
        return os.path.join(path, RUN_MODEL)
    if os.path.exists(os.path.join(path, POINTER_FILE)):
        return os.path.join(path, _current_version(os.path.join(path, POINTER_FILE)))
    raise DataError(
        f"{path}: not a run, a registry or a SavedModel: it holds no {RUN_MODEL}, no "
        f"{POINTER_FILE} and no {SAVED_MODEL_FILE}"
    )


def _current_version(pointer: str) -> str:
    """Return the directory of a registry's current version.

    Raises:
        DataError: there is none, or `models.config` does not say which.
    """
    with open(pointer, encoding="utf-8", errors="replace") as file:
        versions = CURRENT_VERSION.findall(file.read())
    if len(versions) != 1 or int(versions[0]) == 0:
        raise DataError(f"{pointer}: names no current model")
    return str(versions[0])

"""The manifest of what rows are compared with: of a dataset, or of the one of a model."""

from __future__ import annotations

from typing import NamedTuple

from apache_beam.io.filesystems import FileSystems

from charseq.errors import DataError
from charseq.manifest import MANIFEST_FILE, Manifest, parse_manifest
from charseq.models.runs import RUN_MODEL
from charseq.models.saved_model import CURRENT_VERSION, DATASET_ASSET, POINTER_FILE
from pipeline.runtime.filesystems import open_file


class Described(NamedTuple):
    """A manifest, and what it is of, in words for users."""

    manifest: Manifest
    name: str


def read_first(path: str) -> Described:
    """Return the manifest of a dataset, or of that of a run, a SavedModel or a registry.

    Raises:
        DataError: it is none of these, or the manifest cannot be read.
    """
    path = path.rstrip("/")
    names = {
        MANIFEST_FILE: path,
        DATASET_ASSET: f"the dataset of {path}",
        f"{RUN_MODEL}/{DATASET_ASSET}": f"the dataset of {path}",
    }
    for file, name in names.items():
        manifest = FileSystems.join(path, file)
        if FileSystems.exists(manifest):
            return Described(_read(manifest), name)
    pointer = FileSystems.join(path, POINTER_FILE)
    if not FileSystems.exists(pointer):
        raise DataError(
            f"{path}: not a dataset, a run, a SavedModel or a registry: it holds no "
            f"{MANIFEST_FILE}, no {DATASET_ASSET} and no {POINTER_FILE}"
        )
    model = FileSystems.join(path, _current_version(pointer))
    manifest = FileSystems.join(model, DATASET_ASSET)
    if not FileSystems.exists(manifest):
        raise DataError(f"{pointer} names {model}, and there is no {manifest}")
    return Described(_read(manifest), f"the dataset of {model}")


def _current_version(pointer: str) -> str:
    """Return the directory of a registry's current model.

    Raises:
        DataError: there is none, or the file does not say which.
    """
    with open_file(pointer) as file:
        versions = CURRENT_VERSION.findall(file.read().decode("utf-8", "replace"))
    if len(versions) != 1 or int(versions[0]) == 0:
        raise DataError(f"{pointer}: names no current model")
    return str(versions[0])


def _read(path: str) -> Manifest:
    with open_file(path) as file:
        return parse_manifest(file.read(), path)

"""`dataset.json` read through Beam's file systems, also from a store."""

from __future__ import annotations

from apache_beam.io.filesystems import FileSystems

from charseq.errors import DataError
from charseq.manifest import MANIFEST_FILE, Manifest, parse_manifest


def read_manifest(dataset: str) -> Manifest:
    """Return the manifest of a dataset directory.

    Raises:
        DataError: there is none, or it cannot be read.
    """
    return parse_manifest(read_manifest_text(dataset), FileSystems.join(dataset, MANIFEST_FILE))


def read_manifest_text(dataset: str) -> str:
    """Return the text of a dataset's `dataset.json`.

    Raises:
        DataError: there is none, or it is not UTF-8.
    """
    path = FileSystems.join(dataset, MANIFEST_FILE)
    if not FileSystems.exists(path):
        raise DataError(f"{dataset} holds no {MANIFEST_FILE}: not a dataset, or not a finished one")
    with FileSystems.open(path) as file:
        try:
            return str(file.read().decode("utf-8"))
        except UnicodeDecodeError as error:
            raise DataError(f"{path}: not UTF-8: {error}") from error

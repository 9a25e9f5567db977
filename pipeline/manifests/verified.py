"""Files of a dataset that is there, as its manifest says they are."""

from __future__ import annotations

from hashlib import sha256

from apache_beam.io.filesystems import FileSystems

from charseq.chain import Named
from charseq.errors import DataError
from charseq.manifest import MANIFEST_FILE
from pipeline.runtime.filesystems import open_file


def read_verified(dataset: Named, name: str) -> bytes:
    """Return the content of a file that is no shard.

    Raises:
        DataError: it is not there, or has changed after the preparation.
    """
    path = FileSystems.join(dataset.directory, name)
    if not FileSystems.exists(path):
        raise DataError(f"{path}: no such file, but {MANIFEST_FILE} names it")
    with open_file(path) as file:
        content: bytes = file.read()
    digests = {file.path: file.sha256 for file in dataset.manifest.files}
    if sha256(content).hexdigest() != digests.get(name):
        raise DataError(
            f"{path}: changed after the preparation: its SHA-256 is not that in {MANIFEST_FILE}"
        )
    return content

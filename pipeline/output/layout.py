"""The kinds of output directories: their manifest, and the files that it lists."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from apache_beam.io.filesystems import FileSystems

from charseq.errors import DataError
from charseq.files import check_name
from charseq.manifest import MANIFEST_FILE, parse_manifest
from pipeline.runtime.filesystems import open_file

PREDICTIONS_FILE = "predictions.json"


@dataclass(frozen=True)
class Layout:
    """A kind of output directory.

    kind: in messages, as "a dataset". manifest: the file that makes the directory complete.
    parse: returns the names of all other files from the content of the manifest and its path.
    """

    kind: str
    manifest: str
    parse: Callable[[bytes, str], list[str]]

    def manifest_path(self, output: str) -> str:
        """Return the path of the manifest in an output directory."""
        return str(FileSystems.join(output, self.manifest))

    def is_complete(self, output: str) -> bool:
        """Return whether `output` holds a complete output of this kind."""
        return bool(FileSystems.exists(self.manifest_path(output)))

    def digest(self, output: str) -> str | None:
        """Return the SHA-256 of the manifest in `output`; None where there is none."""
        content = self._read(output)
        return None if content is None else sha256(content).hexdigest()

    def files(self, output: str) -> set[str]:
        """Return the names of the files that the manifest in `output` lists; none without one.

        Raises:
            DataError: the manifest cannot be read, or lists a file outside the directory.
        """
        content = self._read(output)
        path = self.manifest_path(output)
        try:
            names = [] if content is None else self.parse(content, path)
        except DataError as error:
            raise DataError(
                f"{error}; only files that it lists are replaced: remove {output}, or choose "
                "another --output"
            ) from error
        return {check_name(name, path) for name in names}

    def _read(self, output: str) -> bytes | None:
        if not self.is_complete(output):
            return None
        with open_file(self.manifest_path(output)) as file:
            return file.read()


def _list_dataset(content: bytes, path: str) -> list[str]:
    manifest = parse_manifest(content, path)
    shards = [shard.path for shard in manifest.shards]
    return [*shards, *(file.path for file in manifest.files)]


def _list_predictions(content: bytes, path: str) -> list[str]:
    try:
        return [str(file["path"]) for file in json.loads(content)["files"]]
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(f"{path}: no list of predictions: {error!r}") from error


DATASET = Layout("a dataset", MANIFEST_FILE, _list_dataset)
PREDICTIONS = Layout("predictions", PREDICTIONS_FILE, _list_predictions)
LAYOUTS = (DATASET, PREDICTIONS)

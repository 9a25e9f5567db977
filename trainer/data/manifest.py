"""`dataset.json`, the manifest of a prepared dataset, as the trainer reads it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from charseq.errors import DataError
from trainer.data.files import Files, LocalFiles, open_files

FORMAT_VERSION = 1
MANIFEST_FILE = "dataset.json"


@dataclass(frozen=True)
class Feature:
    """Shape and dtype of one feature of every record."""

    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class Shard:
    """One TFRecord file of a split. bytes: the size of the file as it was written."""

    path: str
    split: str
    records: int
    bytes: int


@dataclass(frozen=True)
class Manifest:
    """What the trainer needs to know of a dataset.

    encoding: of the records, ids or one_hot. alphabet and labels stand in id order: ids of
    characters from 1, ids of labels from 0; `alphabet` may be shorter than `alphabet_size`.
    """

    files: Files
    fingerprint: str
    encoding: str
    compression: str
    max_length: int
    alphabet_size: int
    unknown_id: int
    alphabet: tuple[str, ...]
    labels: tuple[str, ...]
    train_label_counts: Mapping[str, int]
    feature_spec: Mapping[str, Feature]
    shards: tuple[Shard, ...]

    @property
    def directory(self) -> str:
        """The dataset as it was named: a local directory or an address."""
        return self.files.address

    def shards_of(self, split: str) -> tuple[Shard, ...]:
        """The shards of a split that hold a record, in the order of the manifest."""
        return tuple(shard for shard in self.shards if shard.split == split and shard.records)

    def records(self, split: str) -> int:
        """How many records a split holds; 0 for a split that was not written."""
        return sum(shard.records for shard in self.shards_of(split))

    def check_not_empty(self, split: str) -> None:
        """Look whether a split holds a record.

        Raises:
            DataError: it holds none.
        """
        if not self.records(split):
            raise DataError(f"{self.directory}: its split {split!r} has no row")

    def path(self, name: str) -> str:
        """The local path of a file that is no shard, named relative to the dataset."""
        return self.files.path(name)

    def name(self, name: str) -> str:
        """How a person finds a file of the dataset."""
        return os.path.join(self.directory, name)


@contextmanager
def open_dataset(address: str) -> Iterator[Manifest]:
    """The manifest of a dataset in a local directory or an object store, to be read in the block.

    Raises:
        UsageError: the address is of an unknown kind.
        DataError: as `read_manifest`, or the store cannot be reached, or refuses.
    """
    with open_files(address) as files:
        yield _read(files)


def read_manifest(directory: str) -> Manifest:
    """Read the manifest of a dataset in a local directory and look whether its shards are there.

    Raises:
        DataError: no manifest, one that cannot be read or is of a newer format, or a shard is
            missing or of another size.
    """
    return _read(LocalFiles(directory))


def _read(files: Files) -> Manifest:
    manifest = _parse(files, _read_json(files))
    for shard in manifest.shards:
        _check_shard(manifest.name(shard.path), files.size(shard.path), shard)
    return manifest


def _read_json(files: Files) -> Any:
    if not files.exists():
        raise DataError(f"{files.address}: no such directory")
    if files.size(MANIFEST_FILE) is None:
        raise DataError(
            f"{files.address} holds no {MANIFEST_FILE}: not a dataset, "
            "or its preparation did not finish"
        )
    try:
        with open(files.path(MANIFEST_FILE), encoding="utf-8") as file:
            return json.load(file)
    except ValueError as error:
        path = os.path.join(files.address, MANIFEST_FILE)
        raise DataError(f"{path}: not JSON: {error}") from error


def _parse(files: Files, content: Any) -> Manifest:
    path = os.path.join(files.address, MANIFEST_FILE)
    try:
        version = int(content["format_version"])
        if version > FORMAT_VERSION:
            raise DataError(
                f"{path}: got format version {version}, expected at most {FORMAT_VERSION}: "
                "the dataset was written by a newer version of charseq"
            )
        return Manifest(
            files=files,
            fingerprint=content["fingerprint"],
            encoding=content["encoding"],
            compression=content["compression"],
            max_length=content["max_length"],
            alphabet_size=content["alphabet_size"],
            unknown_id=content["unknown_id"],
            alphabet=tuple(content["alphabet"]),
            labels=tuple(content["labels"]),
            train_label_counts=content["label_counts"]["train"],
            feature_spec={
                name: Feature(tuple(feature["shape"]), feature["dtype"])
                for name, feature in content["feature_spec"].items()
            },
            shards=tuple(
                Shard(shard["path"], shard["split"], shard["records"], shard["bytes"])
                for shard in content["shards"]
            ),
        )
    except KeyError as error:
        raise DataError(f"{path}: no {error} in it") from error
    except (AttributeError, TypeError, ValueError) as error:
        raise DataError(f"{path}: not a manifest: {error}") from error


def _check_shard(path: str, size: int | None, shard: Shard) -> None:
    if size is None:
        raise DataError(f"{path}: no such file, but {MANIFEST_FILE} names it as a shard")
    if size != shard.bytes:
        raise DataError(f"{path}: got {size} bytes, expected {shard.bytes} by {MANIFEST_FILE}")

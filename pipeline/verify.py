"""`python -m pipeline.inspect --verify`: a dataset read again, against what its manifest says."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from apache_beam.io.filesystems import FileSystems

from charseq.errors import DataError
from pipeline.dataset.encoding import encode_rows
from pipeline.dataset.manifest import (
    Manifest,
    checksum,
    fingerprint,
    parse_manifest,
    read_text,
    to_text,
)
from pipeline.runtime.filesystems import local_file, open_file

_BATCH = 4096
_CHUNK = 1 << 20


def verify(dataset: str) -> int:
    """Check every file, record and count of a dataset; return the number of records.

    Raises:
        DataError: the first thing that is not as it should be, with its file and record.
    """
    text = read_text(dataset)
    manifest = parse_manifest(text, dataset)
    _require(checksum(manifest), manifest.get("manifest_sha256"), "dataset.json: its own SHA-256")
    _require(text == to_text(manifest), True, "dataset.json: written as the pipeline does")
    _require(fingerprint(manifest), manifest["fingerprint"], "dataset.json: the fingerprint")
    for file in manifest["files"]:
        _verify_bytes(_existing(dataset, file), file)
    seen: dict[str, list[npt.NDArray[np.uint64]]] = {}
    tally: Counter[tuple[str, str, int]] = Counter()
    for shard in manifest["shards"]:
        with local_file(_existing(dataset, shard)) as path:
            _verify_shard(path, manifest, shard, seen, tally)
    _verify_counts(manifest, tally)
    _verify_no_leak(seen)
    _verify_parity(dataset)
    return sum(shard["records"] for shard in manifest["shards"])


def _require(found: object, expected: object, what: str) -> None:
    if found != expected:
        raise DataError(f"{what} is {found}, expected {expected}")


def _path(dataset: str, name: str) -> str:
    return str(FileSystems.join(dataset, *name.split("/")))


def _existing(dataset: str, file: Mapping[str, Any]) -> str:
    path = _path(dataset, file["path"])
    if not FileSystems.exists(path):
        raise DataError(f"{file['path']}: the file is missing")
    return path


def _verify_bytes(path: str, file: Mapping[str, Any]) -> None:
    """Compare size and SHA-256 of the file at `path` with the manifest's."""
    digest, size = hashlib.sha256(), 0
    with open_file(path) as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
    _require(size, file["bytes"], f"{file['path']}: the size in bytes")
    _require(digest.hexdigest(), file["sha256"], f"{file['path']}: the SHA-256")


def _verify_shard(
    path: str,
    manifest: Manifest,
    shard: Mapping[str, Any],
    seen: dict[str, list[npt.NDArray[np.uint64]]],
    tally: Counter[tuple[str, str, int]],
) -> None:
    """Check the shard at `path`; add keys of its sequences to `seen`, its counts to `tally`."""
    try:
        _verify_bytes(path, shard)
    except DataError as error:
        raise DataError(f"{error}{_first_torn_record(path, manifest)}") from error
    records = 0
    for ids, length, label in _read_shard(path, manifest, shard):
        _verify_rows(manifest, f"{shard['path']}, record", records, ids, length, label)
        records += len(ids)
        unambiguous = ~(ids == manifest["unknown_id"]).any(axis=1)
        seen.setdefault(shard["split"], []).append(_keys(ids[unambiguous]))
        for name, values in (("length", length), ("label", label)):
            counts = np.bincount(values)
            tally.update({(shard["split"], name, int(v)): int(counts[v])
                          for v in np.flatnonzero(counts)})  # fmt: skip
    _require(records, shard["records"], f"{shard['path']}: the number of records")


def _dataset(path: str, manifest: Manifest) -> tf.data.Dataset:
    compression = "GZIP" if manifest["compression"] == "gzip" else ""
    return tf.data.TFRecordDataset(path, compression)


def _first_torn_record(path: str, manifest: Manifest) -> str:
    records = 0
    try:
        for _ in _dataset(path, manifest):
            records += 1
    except (tf.errors.DataLossError, tf.errors.OutOfRangeError):
        return f"; record {records} is the first that cannot be read"
    except tf.errors.OpError as error:
        return f"; {error.message}"
    return f"; all its {records} records can be read"


def _read_shard(
    path: str, manifest: Manifest, shard: Mapping[str, Any]
) -> Iterator[tuple[npt.NDArray[np.int64], ...]]:
    """Batches of (ids (n, max_length), length (n,), label (n,)).

    Of one_hot, ids can't tell unknown from padding: both are 0 here.
    """
    spec = {
        name: tf.io.FixedLenFeature(feature["shape"], feature["dtype"])
        for name, feature in manifest["feature_spec"].items()
    }
    for batch in _dataset(path, manifest).batch(_BATCH):
        try:
            parsed = tf.io.parse_example(batch, spec)
        except tf.errors.InvalidArgumentError as error:
            raise DataError(f"{shard['path']}: not the feature spec: {error.message}") from error
        sequence = parsed["sequence"].numpy()
        if manifest["encoding"] == "one_hot":
            sequence = sequence @ np.arange(1, manifest["alphabet_size"] + 1)
        yield sequence.astype(np.int64), parsed["length"].numpy(), parsed["label"].numpy()


def _verify_rows(
    manifest: Manifest,
    where: str,
    first: int,
    ids: npt.NDArray[np.int64],
    length: npt.NDArray[np.int64],
    label: npt.NDArray[np.int64],
) -> None:
    """Check the ranges of values, and that padding is what stands behind the length."""
    max_length, one_hot = manifest["max_length"], manifest["encoding"] == "one_hot"
    inside = np.arange(max_length) < length[:, None]
    wrong_padding = (ids != 0) & ~inside | (ids == 0) & inside & (not one_hot)
    for what, wrong in (
        (f"length not in 1 to {max_length}", (length < 1) | (length > max_length)),
        (f"label not in 0 to {len(manifest['labels']) - 1}",
         (label < 0) | (label >= len(manifest["labels"]))),
        (f"id above {manifest['unknown_id']}", (ids > manifest["unknown_id"]).any(axis=1)),
        ("padding not exactly behind the length", wrong_padding.any(axis=1)),
    ):  # fmt: skip
        if wrong.any():
            raise DataError(f"{where} {first + int(np.argmax(wrong))}: {what}")


def _keys(ids: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """A 64-bit key of each row of ids."""
    key = np.zeros(len(ids), np.uint64)
    for column in ids.T:
        key = (key ^ column.astype(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        key ^= key >> np.uint64(29)
    return key


def _verify_counts(manifest: Manifest, tally: Counter[tuple[str, str, int]]) -> None:
    for split, expected in manifest["length_histogram"].items():
        found = {str(v): n for (s, kind, v), n in tally.items() if (s, kind) == (split, "length")}
        _require(found, expected, f"{split}: the counts by length")
    for split, expected in manifest["label_counts"].items():
        found = {manifest["labels"][v]: n
                 for (s, kind, v), n in tally.items() if (s, kind) == (split, "label")}  # fmt: skip
        _require(found, expected, f"{split}: the counts by label")
        _require(sum(found.values()), manifest["counts"][split], f"{split}: the records")


def _verify_no_leak(seen: Mapping[str, list[npt.NDArray[np.uint64]]]) -> None:
    """No sequence stands in two splits; those with unknown characters may differ in them."""
    keys = {split: np.unique(np.concatenate(found)) for split, found in seen.items()}
    splits = list(keys)
    for position, one in enumerate(splits):
        for other in splits[position + 1 :]:
            shared = np.intersect1d(keys[one], keys[other], assume_unique=True)
            _require(len(shared), 0, f"the number of sequences both in {one} and in {other}")


def _verify_parity(dataset: str) -> None:
    """The saved graph still gives the ids that were written."""
    with FileSystems.open(_path(dataset, "parity.jsonl")) as file:
        rows = [json.loads(line) for line in file]
    sequences, labels = [row["sequence"] for row in rows], [row["label"] for row in rows]
    encoded = encode_rows(_path(dataset, "transform"), sequences, labels)
    for number, row in enumerate(rows):
        found = (encoded.ids[number].tolist(), int(encoded.length[number]))
        _require(
            found, (row["ids"], row["length"]), f"parity.jsonl, row {number + 1}: (ids, length)"
        )

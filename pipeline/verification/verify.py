"""`python -m pipeline.inspect --verify`: a dataset read again and checked against its manifest."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from itertools import combinations

import numpy as np
import tensorflow as tf
from apache_beam.io.filesystems import FileSystems

from charseq.errors import DataError
from charseq.examples import WEIGHT, parse_examples, read_tfrecords, to_ids
from charseq.files import FileDigest
from charseq.manifest import (
    MANIFEST_FILE,
    PARITY_FILE,
    TRANSFORM_DIR,
    Manifest,
    Shard,
    parse_manifest,
)
from pipeline.manifests.read import read_manifest_text
from pipeline.runtime.filesystems import digest_file, local_file
from pipeline.split_options import DROP_FROM_TRAIN
from pipeline.transform.saved_graph import encode_texts
from pipeline.verification.record_checks import Keys, Records, find_wrong_records, sequence_keys

_BATCH_RECORDS = 4096


class _Seen:
    """What was read so far: counts and sums by split, and keys of the sequences of each split."""

    def __init__(self) -> None:
        self.lengths: defaultdict[str, Counter[int]] = defaultdict(Counter)
        self.labels: defaultdict[str, Counter[int]] = defaultdict(Counter)
        self.weights: defaultdict[str, defaultdict[int, float]] = defaultdict(
            lambda: defaultdict(float)
        )
        self.keys: defaultdict[str, list[Keys]] = defaultdict(list)

    def add(self, split: str, records: Records, unknown_id: int) -> None:
        self.lengths[split].update(records.length.tolist())
        self.labels[split].update(records.label.tolist())
        if records.weight is not None:
            for label, weight in enumerate(np.bincount(records.label, records.weight).tolist()):
                self.weights[split][label] += weight
        self.keys[split].append(sequence_keys(records, unknown_id))


def verify(dataset: str, trust_model: bool = False) -> int:
    """Check every file, record and count of a dataset; return the number of records.

    trust_model: run its transform graph even if that does more than compute.

    Raises:
        DataError: the first thing that is wrong, with its file and record.
    """
    manifest = _verify_manifest(dataset)
    for file in manifest.files:
        _verify_digest(_existing(dataset, file.path), file)
    seen = _Seen()
    for shard in manifest.shards:
        with local_file(_existing(dataset, shard.path)) as path:
            _verify_shard(path, manifest, shard, seen)
    _verify_counts(manifest, seen)
    _verify_no_leak(seen.keys, manifest)
    _verify_parity(dataset, manifest, trust_model)
    return sum(shard.records for shard in manifest.shards)


def _require(actual: object, expected: object, subject: str) -> None:
    if actual != expected:
        raise DataError(f"{subject} is {actual}, expected {expected}")


def _verify_manifest(dataset: str) -> Manifest:
    """Check that `dataset.json` is as it was written, and return what it says."""
    text = read_manifest_text(dataset)
    manifest = parse_manifest(text, FileSystems.join(dataset, MANIFEST_FILE))
    _require(manifest.compute_seal(), manifest.manifest_sha256, "dataset.json: its own SHA-256")
    _require(text == manifest.to_text(), True, "dataset.json: written as the pipeline does")
    _require(manifest.compute_fingerprint(), manifest.fingerprint, "dataset.json: the fingerprint")
    return manifest


def _existing(dataset: str, name: str) -> str:
    path = str(FileSystems.join(dataset, name))
    if not FileSystems.exists(path):
        raise DataError(f"{name}: the file is missing")
    return path


def _verify_digest(path: str, file: FileDigest | Shard) -> None:
    """Check size and SHA-256 of the file at `path` against the manifest."""
    digest = digest_file(path, file.path)
    _require(digest.bytes, file.bytes, f"{file.path}: the size in bytes")
    _require(digest.sha256, file.sha256, f"{file.path}: the SHA-256")


def _verify_shard(path: str, manifest: Manifest, shard: Shard, seen: _Seen) -> None:
    """Check the shard at the local `path`; add its records to `seen`."""
    try:
        _verify_digest(path, shard)
    except DataError as error:
        raise DataError(f"{error}{_first_torn_record(path, manifest)}") from error
    num_records = 0
    for records in _read_shard(path, manifest, shard):
        for problem, wrong in find_wrong_records(records, manifest):
            if wrong.any():
                number = num_records + int(np.argwhere(wrong)[0, 0])
                raise DataError(f"{shard.path}, record {number}: {problem}")
        num_records += len(records.ids)
        seen.add(shard.split, records, manifest.unknown_id)
    _require(num_records, shard.records, f"{shard.path}: the number of records")


def _first_torn_record(path: str, manifest: Manifest) -> str:
    """Return how far a damaged shard can be read, as the end of a message."""
    num_records = 0
    try:
        for _ in read_tfrecords(path, manifest):
            num_records += 1
    except (tf.errors.DataLossError, tf.errors.OutOfRangeError):
        return f"; record {num_records} is the first that cannot be read"
    except tf.errors.OpError as error:
        return f"; {error.message}"
    return f"; all its {num_records} records can be read"


def _read_shard(path: str, manifest: Manifest, shard: Shard) -> Iterator[Records]:
    for batch in read_tfrecords(path, manifest).batch(_BATCH_RECORDS):
        try:
            parsed = parse_examples(batch, manifest.feature_spec)
        except tf.errors.InvalidArgumentError as error:
            raise DataError(f"{shard.path}: not the feature spec: {error.message}") from error
        features = (
            parsed["sequence"],
            to_ids(parsed["sequence"]),
            parsed["length"],
            parsed["label"],
            *([parsed[WEIGHT]] if WEIGHT in parsed else []),
        )
        yield Records(*(feature.numpy() for feature in features))


def _verify_counts(manifest: Manifest, seen: _Seen) -> None:
    for split, expected in manifest.length_histogram.items():
        by_length = {str(length): records for length, records in seen.lengths[split].items()}
        _require(by_length, expected, f"{split}: the counts by length")
    for split, expected in manifest.label_counts.items():
        by_label = {manifest.labels[label]: rows for label, rows in seen.labels[split].items()}
        _require(by_label, expected, f"{split}: the counts by label")
        total = seen.labels[split].total()
        _require(total, manifest.records(split), f"{split}: the records")
    for split, weights in (manifest.label_weights or {}).items():
        for number, label in enumerate(manifest.labels):
            actual, weight = seen.weights[split][number], weights.get(label, 0)
            # Sums of other groups of records, so that their last digits may differ.
            is_same = math.isclose(actual, weight, rel_tol=1e-9)
            _require(weight if is_same else actual, weight, f"{split}: the weights of {label!r}")
    records = (manifest.counts.train, manifest.counts.validation, manifest.counts.test)
    total = sum(shard.records for shard in manifest.shards)
    _require(total, sum(records), "the records of all splits")


def _verify_no_leak(keys: Mapping[str, list[Keys]], manifest: Manifest) -> None:
    """Check that no sequence is in two splits, but those that stay there where splits are given."""
    distinct = {split: np.unique(np.concatenate(batches)) for split, batches in keys.items()}
    for split, other in combinations(distinct, 2):
        shared = np.intersect1d(distinct[split], distinct[other], assume_unique=True)
        known = _known_leaks(manifest, split)
        subject = f"the number of sequences both in {split} and in {other}"
        _require(max(len(shared), known), known, subject)


def _known_leaks(manifest: Manifest, split: str) -> int:
    """Return how many sequences of a split may also be in a later one."""
    is_dropped = split == "train" and manifest.options.get("leaks") == DROP_FROM_TRAIN
    return 0 if is_dropped else sum((manifest.counts.leaks or {}).values())


def _verify_parity(dataset: str, manifest: Manifest, trust_model: bool) -> None:
    """Check that the saved graph still encodes the parity rows as they were written."""
    with FileSystems.open(FileSystems.join(dataset, PARITY_FILE)) as file:
        rows = [json.loads(line) for line in file]
    sequences = manifest.normalization.before_graph([row["sequence"] for row in rows])
    labels = [row["label"] for row in rows]
    transform_dir = FileSystems.join(dataset, TRANSFORM_DIR)
    encoded = encode_texts(transform_dir, sequences, labels, trust_model)
    for number, row in enumerate(rows):
        actual = (encoded.ids[number].tolist(), int(encoded.length[number]))
        expected = (row["ids"], row["length"])
        _require(actual, expected, f"{PARITY_FILE}, row {number + 1}: (ids, length)")

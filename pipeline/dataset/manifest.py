"""`dataset.json`: everything a reader of the dataset needs to know, and its fingerprint."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from apache_beam.io.filesystems import FileSystems

from charseq.errors import DataError
from charseq.files import FileDigest
from charseq.manifest import MANIFEST_FILE, SPLITS
from pipeline.dataset.plan import Plan
from pipeline.dataset.shards import ShardSummary
from pipeline.options import Options
from pipeline.rows.counts import ReadCounts
from pipeline.rows.rejected_files import RejectedFile
from pipeline.rows.sources import Source, describe_inputs

FORMAT_VERSION = 1
_LIBRARIES = ("apache-beam", "tensorflow", "tensorflow-transform", "pyarrow", "numpy")
_FINGERPRINTED = (
    "format_version",
    "encoding",
    "compression",
    "max_length",
    "alphabet_size",
    "alphabet",
    "labels",
    "feature_spec",
    "shards",
)

Manifest = dict[str, Any]


def build_manifest(
    options: Options,
    sources: Sequence[Source],
    counts: ReadCounts,
    plan: Plan,
    shards: Sequence[ShardSummary],
    rejected_files: Sequence[RejectedFile],
) -> Manifest:
    """The manifest of a dataset, but for `files` and `manifest_sha256`.

    Raises:
        DataError: the rows written, duplicate and rejected are not the rows read.
    """
    shards = sorted(shards, key=lambda summary: plan.partition.shards.index(summary.shard))
    manifest: Manifest = {
        "format_version": FORMAT_VERSION,
        "fingerprint": "",
        "encoding": options.encoding,
        "compression": options.compression,
        "max_length": options.max_length,
        "alphabet_size": options.num_characters,
        "padding_id": 0,
        "unknown_id": options.unknown_id,
        "alphabet": list(plan.vocabulary.alphabet),
        "labels": list(plan.vocabulary.labels),
        "feature_spec": feature_spec(options),
        "counts": _count_rows(options, counts, shards, rejected_files),
        **_histograms(options, plan, shards),
        "shards": [_describe_shard(summary, options) for summary in shards],
        "inputs": describe_inputs(sources),
        "options": options.to_json(),
        "versions": {name: version(name) for name in _LIBRARIES},
    }
    _require_all_rows(manifest["counts"])
    manifest["fingerprint"] = fingerprint(manifest)
    return manifest


def _count_rows(
    options: Options,
    counts: ReadCounts,
    shards: Sequence[ShardSummary],
    rejected_files: Sequence[RejectedFile],
) -> dict[str, Any]:
    by_reason: Counter[str] = sum((file.by_reason for file in rejected_files), Counter())
    records = Counter(dict.fromkeys(SPLITS, 0))
    for summary in shards:
        records[summary.shard.split] += summary.records
    return {
        "read": counts.read,
        **records,
        "duplicates": sum(s.duplicates for s in shards),
        "rejected": by_reason.total(),
        "rejected_by_reason": dict(sorted(by_reason.items())),
        "truncated": counts.truncated,
        "ambiguous": sum(s.ambiguous for s in shards),
        "unknown_characters": sum(s.id_counts[options.unknown_id] for s in shards),
    }


def _histograms(
    options: Options, plan: Plan, shards: Sequence[ShardSummary]
) -> dict[str, dict[str, dict[str, int]]]:
    """Records of each split by length and by label."""
    splits = dict.fromkeys(summary.shard.split for summary in shards)
    of = {split: [s for s in shards if s.shard.split == split] for split in splits}
    lengths, labels = range(options.max_length + 1), plan.vocabulary.labels
    return {
        "length_histogram": {
            split: _named(_add(s.length_counts for s in of[split]), lengths) for split in splits
        },
        "label_counts": {
            split: _named(_add(s.label_counts for s in of[split]), labels) for split in splits
        },
    }


def _describe_shard(summary: ShardSummary, options: Options) -> dict[str, Any]:
    return {
        "path": summary.shard.file_name(options.compression),
        "split": summary.shard.split,
        "records": summary.records,
        "bytes": summary.bytes,
        "sha256": summary.sha256,
    }


def feature_spec(options: Options) -> dict[str, dict[str, Any]]:
    """Shape and dtype of each feature of a record: every `FixedLenFeature` there is."""
    scalar = {"shape": [], "dtype": "int64"}
    sequence: dict[str, Any] = {"shape": [options.max_length], "dtype": "int64"}
    if options.encoding == "one_hot":
        sequence = {"shape": [options.max_length, options.num_characters], "dtype": "float32"}
    return {"sequence": sequence, "length": scalar, "label": scalar}


def fingerprint(manifest: Mapping[str, Any]) -> str:
    """SHA-256 over what was produced: equal exactly when two datasets are the same."""
    return _digest({name: manifest[name] for name in _FINGERPRINTED})


def seal(manifest: Manifest, files: Sequence[FileDigest]) -> Manifest:
    """The manifest with the digests of all other files, and of itself."""
    sealed = {**manifest, "files": [asdict(file) for file in files]}
    return {**sealed, "manifest_sha256": checksum(sealed)}


def checksum(manifest: Mapping[str, Any]) -> str:
    """SHA-256 over all of the manifest but this checksum."""
    return _digest({name: value for name, value in manifest.items() if name != "manifest_sha256"})


def _digest(values: Mapping[str, Any]) -> str:
    text = json.dumps(values, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _require_all_rows(counts: Mapping[str, Any]) -> None:
    parts = ("train", "validation", "test", "duplicates", "rejected")
    found = sum(counts[part] for part in parts)
    if found != counts["read"]:
        shown = " + ".join(f"{counts[part]} {part}" for part in parts)
        raise DataError(
            f"{counts['read']} rows were read, but {shown} make {found}; nothing was published. "
            "This is a defect of the pipeline or its runner, please report it"
        )


def _add(rows: Iterable[Sequence[int]]) -> list[int]:
    """Sum of count vectors, the shorter ones filled up with zeros."""
    total: Counter[int] = Counter()
    for row in rows:
        total.update(dict(enumerate(row)))
    return [total[index] for index in range(max(total, default=-1) + 1)]


def _named(counts: Sequence[int], names: Sequence[Any]) -> dict[str, int]:
    """Counts that are not zero, by name."""
    return {str(name): count for name, count in zip(names, counts, strict=False) if count}


def to_text(manifest: Manifest) -> str:
    """The content of `dataset.json`."""
    return json.dumps(manifest, indent=1, ensure_ascii=False) + "\n"


def read_manifest(dataset: str) -> Manifest:
    """The manifest of a dataset directory.

    Raises:
        DataError: there is none, or it cannot be read.
    """
    return parse_manifest(read_text(dataset), dataset)


def read_text(dataset: str) -> str:
    """The content of a dataset's `dataset.json`.

    Raises:
        DataError: there is none, or it is not text.
    """
    path = FileSystems.join(dataset, MANIFEST_FILE)
    if not FileSystems.exists(path):
        raise DataError(f"{dataset} holds no {MANIFEST_FILE}: not a dataset, or not a finished one")
    with FileSystems.open(path) as file:
        try:
            return str(file.read().decode("utf-8"))
        except UnicodeDecodeError as error:
            raise DataError(f"{path}: not UTF-8: {error}") from error


def parse_manifest(text: str, dataset: str) -> Manifest:
    """The manifest in `text`.

    Raises:
        DataError: it is not JSON, or of a newer format.
    """
    try:
        manifest = json.loads(text)
    except ValueError as error:
        raise DataError(f"{dataset}: {MANIFEST_FILE} is not JSON: {error}") from error
    if manifest.get("format_version") != FORMAT_VERSION:
        raise DataError(
            f"{dataset}: {MANIFEST_FILE} has format version {manifest.get('format_version')}, "
            f"this program reads {FORMAT_VERSION}"
        )
    return manifest  # type: ignore[no-any-return]

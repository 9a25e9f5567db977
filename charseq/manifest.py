"""`dataset.json`, the manifest of a dataset: all that a reader needs to know, and its fingerprint.

DATASET/
train/part-00000-of-00016.tfrecord   validation/…   test/…
index/train/part-00000-of-00016.npy …   which rows each shard has, see `index_path`
rejected/part-….jsonl   parity.jsonl   report.html
transform/transform_fn/   transform/transformed_metadata/
dataset.json            written last: where it is, the dataset is complete
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from charseq.errors import DataError
from charseq.files import FileDigest, parse_json, seal, sha256_of_json, to_json_text
from charseq.text.normalization import Normalization

# 2: the raw rows of `parity.jsonl`, and rows to predict, become NFC before the transform graph. A
# reader of version 1 would give the graph other text than the records were made of.
# 3: records have weights, which a reader of version 2 would ignore; only then is it 3.
FORMAT_VERSION = 3
_WITHOUT_WEIGHTS = 2
MANIFEST_FILE = "dataset.json"
PARITY_FILE = "parity.jsonl"
REPORT_FILE = "report.html"
TRANSFORM_DIR = "transform"
TRANSFORM_GRAPH_DIR = f"{TRANSFORM_DIR}/transform_fn"
REJECTED_DIR = "rejected"
INDEX_DIR = "index"
GROUP_INDEX_FILE = f"{INDEX_DIR}/groups.npy"
SPLITS = ("train", "validation", "test")
# Stands for all characters outside the alphabet.
OUTSIDE = ""

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
    "base",  # only of datasets that have one
)
SEAL_KEY = "manifest_sha256"


@dataclass(frozen=True)
class Feature:
    """Shape and dtype of one feature of every record: a `tf.io.FixedLenFeature`."""

    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class Shard:
    """A TFRecord file of a split: its path in the dataset, its size in bytes and its SHA-256."""

    path: str
    split: str
    records: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class InputFile:
    """An input file of a preparation.

    identity: a checksum or another value that changes with the content, as `sha256:…`; None in
    datasets of versions that did not record it. split: the split that all its rows are given.
    """

    path: str
    bytes: int
    identity: str | None = None
    split: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the file as `dataset.json` and `predictions.json` hold it."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class RowCounts:
    """Rows of a preparation: read = train + validation + test + duplicates + rejected.

    truncated: usable rows longer than `max_length`. ambiguous: sequences under several labels.
    unknown_characters: characters of the records that are outside the alphabet. normalized: usable
    rows that a step of normalizing changed, by column, then step (nfc, lowercase, strip); counts of
    0 are left out, and None is in datasets of versions that did not normalize. leaks: sequences in
    more than one given split, by the names of the splits, as `train+test`; None if none is given.
    """

    read: int
    train: int
    validation: int
    test: int
    duplicates: int
    rejected: int
    rejected_by_reason: Mapping[str, int]
    truncated: int
    ambiguous: int
    unknown_characters: int
    normalized: Mapping[str, Mapping[str, int]] | None = None
    leaks: Mapping[str, int] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the counts as `dataset.json` holds them."""
        content = asdict(self)
        for name in ("normalized", "leaks"):
            if content[name] is None:
                del content[name]
        return content


@dataclass(frozen=True)
class Manifest:
    """The content of `dataset.json`.

    encoding: ids or one_hot. compression: of the shards, none or gzip. alphabet, labels: in id
    order; characters have ids from 1, labels from 0; `alphabet` may be shorter than
    `alphabet_size`. length_histogram, label_counts: records by split, then by length or label;
    counts of 0 are left out. notes: sentences for users. files: all files but the shards and
    `dataset.json`. strata: with --stratify, the least hash of validation and that of test in each
    label, as 16 hex digits, or None for a split without a sequence of it; else None. label_weights:
    with --weight-column, the sums of the records' weights, as `label_counts`; else None.
    character_counts: by split, how often each character of the alphabet is in the records, and
    under OUTSIDE how often any other is; None in datasets of versions that did not record it.
    similar: with --similar, the distinct sequences, those linked, the clusters and the largest of
    them, or those dropped; and of sampled sequences to measure with, how many have a similar train
    row (`leak`; by the hash alone `leak_by_hash`); else None. base: of a dataset that adds rows to
    others, the fingerprints of those, the first one first.
    """

    format_version: int
    fingerprint: str
    encoding: str
    compression: str
    max_length: int
    alphabet_size: int
    padding_id: int
    unknown_id: int
    alphabet: tuple[str, ...]
    labels: tuple[str, ...]
    feature_spec: Mapping[str, Feature]
    counts: RowCounts
    length_histogram: Mapping[str, Mapping[str, int]]
    label_counts: Mapping[str, Mapping[str, int]]
    shards: tuple[Shard, ...]
    inputs: tuple[InputFile, ...]
    options: Mapping[str, Any]
    versions: Mapping[str, str]
    notes: tuple[str, ...] = ()
    files: tuple[FileDigest, ...] = ()
    manifest_sha256: str = ""
    strata: Mapping[str, Sequence[str | None]] | None = None
    label_weights: Mapping[str, Mapping[str, float]] | None = None
    character_counts: Mapping[str, Mapping[str, int]] | None = None
    similar: Mapping[str, Any] | None = None
    base: tuple[str, ...] = ()

    def shards_of(self, split: str) -> tuple[Shard, ...]:
        """Return the shards of a split that hold a record, in the order of the manifest."""
        return tuple(shard for shard in self.shards if shard.split == split and shard.records)

    def records(self, split: str) -> int:
        """Return the number of records of a split; 0 for a split that was not written."""
        return sum(shard.records for shard in self.shards_of(split))

    @property
    def split_to_measure(self) -> str:
        """The split to measure models on: test, or validation in a dataset without a test row."""
        return "test" if self.records("test") or not self.records("validation") else "validation"

    def characters(self, split: str) -> int:
        """Return the number of characters of a split's records."""
        lengths = self.length_histogram.get(split, {})
        return sum(int(length) * records for length, records in lengths.items())

    def counts_of_labels(self, split: str) -> list[int]:
        """Return the number of records of each label in a split, in id order."""
        counts = self.label_counts.get(split, {})
        return [counts.get(label, 0) for label in self.labels]

    def mean_weights(self, split: str) -> list[float]:
        """Return the mean weight of each label's records in a split, in id order.

        Weights are multiplied so that their mean over the split is 1; so is that of a label without
        records, and of all labels in a dataset without weights.
        """
        counts = self.counts_of_labels(split)
        if self.label_weights is None:
            return [1.0] * len(counts)
        of_split = self.label_weights.get(split, {})
        scale = self.weight_scale(split)
        weights = [of_split.get(label, 0.0) * scale for label in self.labels]
        return [
            weight / count if count else 1.0 for weight, count in zip(weights, counts, strict=True)
        ]

    def weight_scale(self, split: str) -> float:
        """Return what the weights of a split are multiplied by so that their mean is 1."""
        of_split = (self.label_weights or {}).get(split, {})
        return self.records(split) / sum(of_split.values()) if of_split else 1.0

    @property
    def normalization(self) -> Normalization:
        """What was done to the sequences."""
        return Normalization.from_options(self.options)

    def to_json(self) -> dict[str, Any]:
        """Return the content of `dataset.json`."""
        content = {
            **asdict(self),
            "counts": self.counts.to_json(),
            "inputs": [file.to_json() for file in self.inputs],
        }
        if not self.notes:
            # The SHA-256 of a manifest that was written without the key must stay the same.
            del content["notes"]
        for name in ("strata", "label_weights", "character_counts", "similar"):
            if content[name] is None:
                del content[name]
        if not self.base:
            del content["base"]
        return content

    def to_text(self) -> str:
        """Return the text of `dataset.json`."""
        return to_json_text(self.to_json())

    def compute_fingerprint(self) -> str:
        """Return the SHA-256 of what was produced: equal exactly for equal datasets."""
        content = self.to_json()
        return sha256_of_json({name: content[name] for name in _FINGERPRINTED if name in content})

    def compute_seal(self) -> str:
        """Return the SHA-256 of the manifest without `manifest_sha256`."""
        return seal(self.to_json(), SEAL_KEY)

    def with_fingerprint(self) -> Manifest:
        """Return the manifest with its fingerprint filled in."""
        return replace(self, fingerprint=self.compute_fingerprint())

    def sealed(self, files: tuple[FileDigest, ...]) -> Manifest:
        """Return the manifest with the digests of all other files, and of itself."""
        complete = replace(self, files=files)
        return replace(complete, manifest_sha256=complete.compute_seal())


def index_path(shard_path: str) -> str:
    """Return where the index of a shard is, a `.npy` file of (records, 2) uint64, little-endian.

    In the order of the records, and of hashes: the hash of the sequence as it is cut, and that of
    sequence and label.
    """
    return f"{INDEX_DIR}/{shard_path.partition('.tfrecord')[0]}.npy"


def check_shard(path: str, size: int | None, shard: Shard) -> None:
    """Check the size of a shard's file.

    Args:
        path: of the file, for the message.
        size: its bytes; None if there is no such file.
        shard: what the manifest says of it.

    Raises:
        DataError: there is no file, or it is of another size.
    """
    if size is None:
        raise DataError(f"{path}: no such file, but {MANIFEST_FILE} names it as a shard")
    if size != shard.bytes:
        raise DataError(f"{path}: got {size} bytes, expected {shard.bytes} by {MANIFEST_FILE}")


def format_version(*, has_weight: bool) -> int:
    """Return the version of a manifest: the least that its readers must know."""
    return FORMAT_VERSION if has_weight else _WITHOUT_WEIGHTS


def parse_manifest(text: str | bytes, path: str) -> Manifest:
    """Parse the text of the `dataset.json` at `path`; bytes are UTF-8.

    Raises:
        DataError: it is not JSON, not a manifest, or of a newer format.
    """
    return manifest_from_json(parse_json(text, path), path)


def _check_weights(content: Mapping[str, Any]) -> None:
    """Check that a manifest has a weight above 0 for each label with records, or none at all.

    Raises:
        ValueError, TypeError, AttributeError: it does not.
    """
    weights = content.get("label_weights")
    if (weights is None) != ("weight" not in content["feature_spec"]):
        raise ValueError("label_weights and the feature weight do not go together")
    if weights is None:
        return
    for split, counts in content["label_counts"].items():
        if {label for label, rows in counts.items() if rows} != set(weights[split]):
            raise ValueError(f"label_weights of {split} are of other labels than its records")
        if not all(0 < weight < math.inf for weight in weights[split].values()):
            raise ValueError(f"a weight in label_weights of {split} is not finite and above 0")


def manifest_from_json(content: Any, path: str) -> Manifest:
    """Return the manifest that the JSON value `content`, read from `path`, holds.

    Raises:
        DataError: it is not a manifest, or of a newer format.
    """
    try:
        version = int(content["format_version"])
        if version > FORMAT_VERSION:
            raise DataError(
                f"{path}: got format version {version}, expected at most {FORMAT_VERSION}: "
                "the dataset was written by a newer version of charseq"
            )
        manifest = Manifest(
            format_version=version,
            fingerprint=content["fingerprint"],
            encoding=content["encoding"],
            compression=content["compression"],
            max_length=content["max_length"],
            alphabet_size=content["alphabet_size"],
            padding_id=content["padding_id"],
            unknown_id=content["unknown_id"],
            alphabet=tuple(content["alphabet"]),
            labels=tuple(content["labels"]),
            feature_spec={
                name: Feature(tuple(feature["shape"]), feature["dtype"])
                for name, feature in content["feature_spec"].items()
            },
            counts=RowCounts(**content["counts"]),
            length_histogram=content["length_histogram"],
            label_counts=content["label_counts"],
            shards=tuple(Shard(**shard) for shard in content["shards"]),
            inputs=tuple(InputFile(**file) for file in content["inputs"]),
            options=content["options"],
            versions=content["versions"],
            # The first versions recorded none of these.
            notes=tuple(content.get("notes", ())),
            files=tuple(FileDigest(**file) for file in content.get("files", ())),
            manifest_sha256=content.get(SEAL_KEY, ""),
            strata=content.get("strata"),
            label_weights=content.get("label_weights"),
            character_counts=content.get("character_counts"),
            similar=content.get("similar"),
            base=tuple(content.get("base", ())),
        )
        _check_weights(content)
    except KeyError as error:
        raise DataError(f"{path}: no {error} in it") from error
    except (AttributeError, TypeError, ValueError) as error:
        raise DataError(f"{path}: not a manifest: {error}") from error
    return manifest

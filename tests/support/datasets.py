"""Small datasets written without the pipeline: a second reading of the contract."""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from trainer.data.dataset import Dataset, read_dataset

Row = tuple[str, str]

ALPHABET = "ABC"  # One shorter than the alphabet's size: the alphabet may be.
ALPHABET_SIZE = 4
UNKNOWN = 5
MAX_LENGTH = 6
LABELS = ("y", "x", "z")


def toy_rows(count: int, seed: int = 0) -> list[Row]:
    """Sequences of 1 to 8 characters whose label follows from the first: A x, B y, else z."""
    choose = random.Random(seed)
    texts = ["".join(choose.choices("ABC?", k=choose.randint(1, 8))) for _ in range(count)]
    return [(text, {"A": "x", "B": "y"}.get(text[0], "z")) for text in texts]


def encode(text: str) -> list[int]:
    """The ids of a text, cut and padded."""
    cut = text[:MAX_LENGTH]
    ids = [ALPHABET.find(c) + 1 if c in ALPHABET else UNKNOWN for c in cut]
    return ids + [0] * (MAX_LENGTH - len(ids))


def one_hot(ids: Sequence[int]) -> list[list[float]]:
    """One row an id, as records hold them."""
    return [[float(i == column + 1) for column in range(ALPHABET_SIZE)] for i in ids]


def rows_of(batches: tf.data.Dataset) -> list[tuple[tuple[float, ...], int, int]]:
    """Return each row of weight 1 in order: its sequence, flat, with its length and label."""
    return [
        (tuple(np.ravel(sequence).tolist()), int(length), int(label))
        for features, labels, weights in batches.as_numpy_iterator()
        for sequence, length, label, weight in zip(
            features["sequence"], features["length"], labels, weights, strict=True
        )
        if weight
    ]


def write_dataset(
    directory: Path,
    splits: Mapping[str, Sequence[Row]],
    *,
    encoding: str = "ids",
    compression: str = "none",
    shards: int = 2,
    transform: bool = False,
    weight_of: Callable[[str], float] | None = None,
) -> Dataset:
    """Write a complete dataset directory and read it.

    Shard i of n of a split holds its rows i, i + n, …. transform: write a graph that encodes too;
    it takes most of a second. weight_of: the weight of a text, for records with weights. Splits of
    the names fold-0, fold-1, … make a dataset with folds.
    """
    described = [
        _write_shard(
            directory,
            split,
            rows[number::shards],
            (number, shards),
            encoding,
            compression,
            weight_of,
        )
        for split, rows in splits.items()
        for number in range(shards)
    ]
    _write_parity(directory, next(iter(splits.values()))[:5])
    folds = {"folds": len(splits)} if "fold-0" in splits else {}
    if transform:
        tf.saved_model.save(Transform(), str(directory / "transform" / "transform_fn"))
    sequence: dict[str, Any] = {"shape": [MAX_LENGTH], "dtype": "int64"}
    if encoding == "one_hot":
        sequence = {"shape": [MAX_LENGTH, ALPHABET_SIZE], "dtype": "float32"}
    scalar = {"shape": [], "dtype": "int64"}
    features = {"sequence": sequence, "length": scalar, "label": scalar}
    if weight_of:
        features["weight"] = {"shape": [], "dtype": "float32"}
    manifest = {
        "format_version": 3 if weight_of else 1,
        "fingerprint": "0123456789abcdef" * 4,
        "encoding": encoding,
        "compression": compression,
        "max_length": MAX_LENGTH,
        "alphabet_size": ALPHABET_SIZE,
        "padding_id": 0,
        "unknown_id": UNKNOWN,
        "alphabet": list(ALPHABET),
        "labels": list(LABELS),
        "feature_spec": features,
        "counts": _row_counts(splits),
        "length_histogram": {
            split: dict(Counter(str(min(len(text), MAX_LENGTH)) for text, _ in rows))
            for split, rows in splits.items()
        },
        "label_counts": {
            split: dict(Counter(label for _, label in rows)) for split, rows in splits.items()
        },
        **_label_weights(splits, weight_of),
        "shards": described,
        "inputs": [{"path": "rows.csv", "bytes": 1234, "identity": "sha256:" + "5e" * 32}],
        "options": {"seed": 0, "max_length": MAX_LENGTH, **folds},
        "versions": {"tensorflow": tf.__version__},
        "files": _digests(directory),
    }
    text = json.dumps(manifest, sort_keys=True, separators=(",", ":"))
    manifest["manifest_sha256"] = hashlib.sha256(text.encode()).hexdigest()
    (directory / "dataset.json").write_text(json.dumps(manifest))
    return read_dataset(str(directory))


def change_manifest(directory: Path, **changes: Any) -> Dataset:
    """Change `dataset.json`, as its fingerprint and seal follow from it; read the dataset."""
    manifest = replace(read_dataset(str(directory)).manifest, **changes).with_fingerprint()
    (directory / "dataset.json").write_text(manifest.sealed(manifest.files).to_text())
    return read_dataset(str(directory))


def write_chain(folder: Path, *, encoding: str = "ids", **options: Any) -> list[Dataset]:
    """Write `base`, without a row of z, and `first` and `second`, which add rows to it."""
    rows = toy_rows(160, seed=1)
    old = [row for row in rows[:120] if row[1] != "z"]
    parts: list[Mapping[str, Sequence[Row]]] = [
        {"train": old[:40], "validation": old[40:50], "test": old[50:]},
        {"train": rows[120:140], "validation": [], "test": rows[140:145]},
        {"train": rows[145:155], "validation": rows[155:], "test": []},
    ]
    chain: list[Dataset] = []
    for name, splits in zip(("base", "first", "second"), parts, strict=True):
        write_dataset(folder / name, splits, encoding=encoding, **options)
        labels = LABELS if chain else LABELS[:2]
        base = tuple(each.manifest.fingerprint for each in chain)
        chain.append(change_manifest(folder / name, labels=labels, base=base))
    return chain


def _digests(directory: Path) -> list[dict[str, Any]]:
    """Return the digests of `parity.jsonl` and of the files of the graph."""
    paths = [directory / "parity.jsonl", *sorted((directory / "transform").rglob("*"))]
    return [
        {
            "path": str(path.relative_to(directory)),
            "bytes": path.stat().st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        for path in paths
        if path.is_file()
    ]


def _row_counts(splits: Mapping[str, Sequence[Row]]) -> dict[str, Any]:
    rows = [text for split in splits.values() for text, _ in split]
    kept = [character for text in rows for character in text[:MAX_LENGTH]]
    return {
        "read": len(rows),
        **{split: len(splits.get(split, ())) for split in ("train", "validation", "test")},
        "duplicates": 0,
        "rejected": 0,
        "rejected_by_reason": {},
        "truncated": sum(len(text) > MAX_LENGTH for text in rows),
        "ambiguous": 0,
        "unknown_characters": sum(character not in ALPHABET for character in kept),
    }


def _label_weights(
    splits: Mapping[str, Sequence[Row]], weight_of: Callable[[str], float] | None
) -> dict[str, Any]:
    if weight_of is None:
        return {}
    sums = {
        split: {
            name: sum(weight_of(text) for text, label in rows if label == name)
            for name in {label for _, label in rows}
        }
        for split, rows in splits.items()
    }
    return {"label_weights": sums}


def _write_shard(
    directory: Path,
    split: str,
    rows: Sequence[Row],
    number: tuple[int, int],
    encoding: str,
    compression: str,
    weight_of: Callable[[str], float] | None,
) -> dict[str, Any]:
    ending = "tfrecord.gz" if compression == "gzip" else "tfrecord"
    path = directory / split / f"part-{number[0]:05}-of-{number[1]:05}.{ending}"
    path.parent.mkdir(parents=True, exist_ok=True)
    options = "GZIP" if compression == "gzip" else ""
    with tf.io.TFRecordWriter(str(path), options) as writer:
        for text, label in rows:
            weight = weight_of and weight_of(text)
            writer.write(_example(text, label, encoding, weight).SerializeToString())
    return {
        "path": str(path.relative_to(directory)),
        "split": split,
        "records": len(rows),
        "bytes": path.stat().st_size,
        "sha256": "not looked at",
    }


def _example(text: str, label: str, encoding: str, weight: float | None) -> tf.train.Example:
    ids = encode(text)
    if encoding == "ids":
        sequence = _integers(ids)
    else:
        values = [value for row in one_hot(ids) for value in row]
        sequence = tf.train.Feature(float_list=tf.train.FloatList(value=values))
    features = {
        "sequence": sequence,
        "length": _integers([min(len(text), MAX_LENGTH)]),
        "label": _integers([LABELS.index(label)]),
    }
    if weight is not None:
        features["weight"] = tf.train.Feature(float_list=tf.train.FloatList(value=[weight]))
    return tf.train.Example(features=tf.train.Features(feature=features))


def _integers(values: Sequence[int]) -> tf.train.Feature:
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def _write_parity(directory: Path, rows: Sequence[Row]) -> None:
    with (directory / "parity.jsonl").open("w", encoding="utf-8") as file:
        for text, label in rows:
            row = {
                "sequence": text,
                "ids": encode(text),
                "length": min(len(text), MAX_LENGTH),
                "label": label,
                "label_id": LABELS.index(label),
            }
            file.write(json.dumps(row) + "\n")


class Transform(tf.Module):
    """What a transform graph does, with a lookup table in it as a learned one has."""

    def __init__(self) -> None:
        super().__init__()
        self.characters = _table(ALPHABET, range(1, len(ALPHABET) + 1), UNKNOWN)
        self.labels = _table(LABELS, range(len(LABELS)), -1)

    @tf.function(
        input_signature=[
            {
                "sequence": tf.TensorSpec([None], tf.string),
                "label": tf.TensorSpec([None], tf.string),
            }
        ]
    )
    def transform_fn(self, inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        characters = tf.strings.unicode_split(inputs["sequence"], "UTF-8")[:, :MAX_LENGTH]
        ids = tf.ragged.map_flat_values(self.characters.lookup, characters)
        return {
            "sequence": ids.to_tensor(shape=[None, MAX_LENGTH]),
            "length": characters.row_lengths(),
            "label": self.labels.lookup(inputs["label"]),
        }


def _table(keys: Sequence[str], values: Sequence[int], default: int) -> Any:
    content = tf.lookup.KeyValueTensorInitializer(
        tf.constant(list(keys)), tf.constant(list(values), tf.int64)
    )
    return tf.lookup.StaticHashTable(content, default)

"""`charseq.open_dataset`: what is in a dataset, and its records."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from charseq.api.records import (
    Arrays,
    describe_feature,
    read_arrays,
    read_batches,
    to_texts,
)
from charseq.chain import alone_note
from charseq.errors import DataError, UsageError
from charseq.examples import WEIGHT
from charseq.folds import records_of_parts
from charseq.manifest import MANIFEST_FILE, REPORT_FILE, Manifest, check_shard, parse_manifest
from charseq.paths import expand_path
from charseq.stores.addresses import is_address

if TYPE_CHECKING:
    import pandas as pd
    import tensorflow as tf

_SHOWN_LABELS = 12


@dataclass(frozen=True, repr=False, eq=False)
class Dataset:
    """A complete dataset in a local directory; a path wherever one is accepted.

    path: the directory, as it was named. manifest: all that its `dataset.json` says.
    """

    path: str
    manifest: Manifest

    def __fspath__(self) -> str:
        return self.path

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, in the order of their ids from 0."""
        return self.manifest.labels

    @property
    def alphabet(self) -> str:
        """The characters, in the order of their ids from 1."""
        return "".join(self.manifest.alphabet)

    @property
    def counts(self) -> dict[str, int]:
        """Rows: those read are those of all splits, or folds, with duplicates and rejected ones."""
        counts = self.manifest.counts
        return {
            "read": counts.read,
            **records_of_parts(self.manifest),
            "duplicates": counts.duplicates,
            "rejected": counts.rejected,
        }

    def to_tf(
        self, split: str, batch_size: int, shuffle_seed: int | None = None
    ) -> tf.data.Dataset:
        """Return the records of a split as a `tf.data.Dataset`, as `keras.Model.fit` takes it.

        It is read from the files as it is iterated over, once in each iteration.

        Args:
            split: train, validation or test, or a fold, such as fold-0.
            batch_size: records of each batch but the last, which may have fewer.
            shuffle_seed: in each iteration another order, by this seed: of the files, and of their
                records in a buffer of 16,384. None: the order in which they are stored.

        Returns:
            Elements ({"sequence", "length"}, label), or ({"sequence", "length"}, label, weight) of
            a dataset with weights. sequence: (batch, max_length) int64, ids as in `alphabet` with 0
            for padding; or of a one_hot dataset (batch, max_length, alphabet_size) float32. length,
            label: (batch,) int64. weight: (batch,) float32.

        Raises:
            UsageError: there is no such split, or the batch size is not 1 or more.
            tf.errors.OpError: in the iteration, if a file is damaged.
        """
        self._check_split(split)
        if batch_size < 1:
            raise UsageError(f"batch_size: got {batch_size!r}, expected 1 or more")
        return read_batches(self.path, self.manifest, split, batch_size, shuffle_seed)

    def to_numpy(self, split: str, limit: int | None = None) -> Arrays:
        """Return the records of a split as arrays, in the order in which they are stored.

        Args:
            split: train, validation or test, or a fold, such as fold-0.
            limit: the number of records, at most; None for all.

        Returns:
            By name: sequence (rows, max_length) int64, or of a one_hot dataset (rows, max_length,
            alphabet_size) float32; length, label (rows,) int64; and weight (rows,) float32 where
            the dataset has weights.

        Raises:
            UsageError: there is no such split, or the limit is below 0.
            DataError: a file is damaged or gone.
        """
        self._check_split(split)
        if limit is not None and limit < 0:
            raise UsageError(f"limit: got {limit!r}, expected 0 or more, or None")
        return read_arrays(self.path, self.manifest, split, limit)

    def to_pandas(self, split: str, limit: int | None = None) -> pd.DataFrame:
        """Return the records of a split as text, in the order in which they are stored.

        Args:
            split: train, validation or test, or a fold, such as fold-0.
            limit: the number of records, at most; None for all.

        Returns:
            A DataFrame with the columns sequence (its characters, normalized and cut as they were
            encoded; U+FFFD for one that is not in the alphabet), label (text), length (int64), and
            weight (float32) where the dataset has weights.

        Raises:
            UsageError, DataError: as `to_numpy`; or pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError:
            raise DataError("pandas is not installed: pip install pandas") from None
        arrays = self.to_numpy(split, limit)
        columns = {
            "sequence": to_texts(arrays, self.manifest),
            "label": [self.labels[number] for number in arrays["label"].tolist()],
            "length": arrays["length"],
        }
        if WEIGHT in arrays:
            columns[WEIGHT] = arrays[WEIGHT]
        return pd.DataFrame(columns)

    def _check_split(self, split: str) -> None:
        names = records_of_parts(self.manifest)
        if split not in names:
            raise UsageError(f"split: got {split!r}, expected one of {', '.join(names)}")

    def __repr__(self) -> str:
        rows = ", ".join(f"{name} {rows:,}" for name, rows in self._parts().items())
        return (
            f"<charseq.Dataset {self.path!r}: {rows}; {len(self.labels):,} labels, "
            f"{len(self.alphabet):,} characters, max_length {self.manifest.max_length:,}>"
        )

    def _repr_html_(self) -> str:
        from charseq.html import render

        return render(
            "notebook_facts.html",
            kind="Dataset",
            name=self.path,
            facts=self._facts(),
            counts=self._parts(),
            labels=self.labels[:_SHOWN_LABELS],
            label_counts=self.manifest.label_counts,
        )

    def _parts(self) -> dict[str, int]:
        return records_of_parts(self.manifest)

    def _facts(self) -> dict[str, str]:
        """Return what the HTML shows below the counts."""
        manifest = self.manifest
        spec = manifest.feature_spec["sequence"]
        facts = {
            "labels": f"{len(self.labels):,}",
            "alphabet": self.alphabet,
            "sequence": f"{manifest.encoding}, {describe_feature(spec)}",
            "fingerprint": manifest.fingerprint[:16],
        }
        if os.path.exists(report := os.path.join(self.path, REPORT_FILE)):
            facts["report"] = report
        notes = [*manifest.notes, *filter(None, [alone_note(self.path, manifest)])]
        return {**facts, **({"notes": "; ".join(notes)} if notes else {})}


def open_dataset(path: str | os.PathLike[str]) -> Dataset:
    """Open a dataset that `prepare` or `charseq prepare` wrote.

    A dataset that adds rows to others (`base=…`) is opened by itself, without their rows.

    Args:
        path: its local directory; also with `~`, or as `file://`. A dataset in an object store can
            be opened where the bucket is mounted.

    Raises:
        UsageError: the path is an address of an object store, or empty.
        DataError: it is not a dataset, or not complete, or was written by a newer version; a file
            of records is missing or of another size.
    """
    directory = local_path("path", path)
    name = os.path.join(directory, MANIFEST_FILE)
    if not os.path.isdir(directory):
        raise DataError(f"{directory}: no such directory")
    if not os.path.exists(name):
        raise DataError(
            f"{directory} holds no {MANIFEST_FILE}: not a dataset, or its preparation did not "
            "finish"
        )
    with open(name, "rb") as file:
        manifest = parse_manifest(file.read(), name)
    for shard in manifest.shards:
        file_path = os.path.join(directory, shard.path)
        size = os.path.getsize(file_path) if os.path.exists(file_path) else None
        check_shard(file_path, size, shard)
    return Dataset(directory, manifest)


def local_path(name: str, path: str | os.PathLike[str]) -> str:
    """Return a path that a user gave for the argument `name`, without `~` and `file://`.

    Raises:
        UsageError: it is no path, or empty, or an address of an object store.
    """
    if not isinstance(path, (str, bytes, os.PathLike)):
        raise UsageError(f"{name}: got {path!r}, expected a path")
    text = os.fsdecode(path)
    try:
        expanded = expand_path(text)
    except ValueError as error:
        raise UsageError(f"{name}: {error}") from None
    if is_address(expanded):
        raise UsageError(
            f"{name}: got {text!r}, expected a local directory; a mounted bucket will do"
        )
    return expanded

"""The manifest of a prepared dataset: all rows are accounted for, all counts are named."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from charseq.errors import DataError
from charseq.manifest import Feature, InputFile, RowCounts, Shard
from pipeline.dataset.build_manifest import build_manifest, require_all_rows
from pipeline.dataset.plan import Plan
from pipeline.dataset.prepared import PreparedDataset
from pipeline.formats.head import Header
from pipeline.options import Options
from pipeline.output.layout import DATASET
from pipeline.output.staging import Staging
from pipeline.rows.counts import ReadCounts
from pipeline.rows.identity import Identity
from pipeline.rows.normalizing import NormalizedCounts
from pipeline.rows.rejected_files import RejectedFile
from pipeline.rows.sources import Source
from pipeline.shards.partition import Partition, PlannedShard
from pipeline.shards.write import ShardSummary
from pipeline.transform.saved_graph import Vocabulary

pytestmark = pytest.mark.unit

COUNTS = RowCounts(10, 4, 1, 2, 2, 1, {"too_long": 1}, 0, 0, 0)
TRAIN = (PlannedShard("train", 0, 2), PlannedShard("train", 1, 2))
TEST = PlannedShard("test", 0, 1)


def summary(shard: PlannedShard, **changes: Any) -> ShardSummary:
    values: dict[str, Any] = {
        "shard": shard,
        "staged_path": "",
        "staged_index": "",
        "records": 0,
        "bytes": 0,
        "sha256": "",
        "duplicates": 0,
        "ambiguous": 0,
        "most_ambiguous": (),
        "label_counts": (),
        "label_weights": (),
        "length_counts": (0, 0, 0),
        "id_counts": (0, 0, 0, 0),
        "unknown_characters": Counter(),
        "unknown_records": 0,
        "parity": (),
    }
    return ShardSummary(**{**values, **changes})


def prepared(**options: Any) -> PreparedDataset:
    """Return 7 rows: 5 records in two of three shards, a duplicate and a rejected row."""
    shards = [
        summary(TEST),
        summary(
            TRAIN[1],
            records=2,
            bytes=20,
            sha256="b1",
            duplicates=1,
            ambiguous=1,
            label_counts=(1, 0, 1),
            length_counts=(0, 1, 1),
            id_counts=(1, 1, 1, 1),
        ),
        summary(
            TRAIN[0],
            records=3,
            bytes=30,
            sha256="b0",
            label_counts=(3,),
            length_counts=(0, 0, 3),
            id_counts=(0, 2, 2, 2),
        ),
    ]
    asked = Options(
        input=("in.csv",), output="out", **{"max_length": 2, "alphabet_size": 2, **options}
    )
    return PreparedDataset(
        asked,
        [
            Source(
                "in.csv",
                99,
                "csv",
                None,
                Header(("sequence", "label"), 0, 1),
                identity=Identity("sha256:aa", 99),
            )
        ],
        Staging(DATASET, "out", "run", None),
        "transform",
        ReadCounts(
            usable=6,
            truncated=1,
            rejected=Counter(too_long=1),
            normalized=NormalizedCounts(Counter(strip=2, nfc=1), Counter(strip=0)),
        ),
        Plan(
            asked.with_alphabet(("C", "A")),
            Partition((*TRAIN, TEST), {}),
            Vocabulary(("C", "A"), ("z", "y", "x")),
            0,
            np.array([3], np.uint64),
        ),
        shards,
        [RejectedFile(0, "", Counter(too_long=1), ())],
    )


def test_a_lost_row_stops_the_publication() -> None:
    require_all_rows(COUNTS)
    with pytest.raises(DataError, match=r"11 rows were read, but 4 train .* make 10"):
        require_all_rows(replace(COUNTS, read=11))
    with pytest.raises(DataError, match=r"7 rows were read, but 5 train .* \+ 0 rejected make 6"):
        build_manifest(replace(prepared(), rejected_files=[]))


def test_the_rows_of_all_shards_are_added_up() -> None:
    assert build_manifest(prepared()).counts == RowCounts(
        read=7,
        train=5,
        validation=0,
        test=0,
        duplicates=1,
        rejected=1,
        rejected_by_reason={"too_long": 1},
        truncated=1,
        ambiguous=1,
        unknown_characters=3,
        normalized={"sequence": {"nfc": 1, "strip": 2}},
    )


def test_records_are_counted_by_split_length_and_label_without_zeros() -> None:
    manifest = build_manifest(prepared())
    assert manifest.length_histogram == {"train": {"1": 1, "2": 4}, "test": {}}
    assert manifest.label_counts == {"train": {"z": 4, "x": 1}, "test": {}}


def test_characters_are_counted_by_split() -> None:
    manifest = build_manifest(prepared())
    first, second = manifest.alphabet
    assert manifest.character_counts == {"train": {first: 3, second: 3, "": 3}, "test": {}}


def test_shards_stand_in_the_order_of_the_plan() -> None:
    manifest = build_manifest(prepared(compression="gzip"))
    assert manifest.shards == (
        Shard("train/part-00000-of-00002.tfrecord.gz", "train", 3, 30, "b0"),
        Shard("train/part-00001-of-00002.tfrecord.gz", "train", 2, 20, "b1"),
        Shard("test/part-00000-of-00001.tfrecord.gz", "test", 0, 0, ""),
    )


def test_the_manifest_says_how_to_read_the_records() -> None:
    scalar = Feature((), "int64")
    manifest = build_manifest(prepared())
    assert manifest.feature_spec == {
        "sequence": Feature((2,), "int64"),
        "length": scalar,
        "label": scalar,
    }
    assert (manifest.alphabet, manifest.padding_id, manifest.unknown_id) == (("C", "A"), 0, 3)
    one_hot = build_manifest(prepared(encoding="one_hot"))
    assert one_hot.feature_spec["sequence"] == Feature((2, 2), "float32")


def test_the_fingerprint_covers_what_was_produced_and_nothing_else() -> None:
    expected = build_manifest(prepared()).fingerprint
    elsewhere = replace(prepared(), sources=[], transform_dir="there")
    assert build_manifest(elsewhere).fingerprint == expected
    assert build_manifest(prepared(compression="gzip")).fingerprint != expected


def test_inputs_and_options_are_those_of_the_command() -> None:
    manifest = build_manifest(prepared(seed=7))
    assert manifest.inputs == (InputFile("in.csv", 99, "sha256:aa"),)
    assert (manifest.options["seed"], manifest.options["input"]) == (7, ["in.csv"])

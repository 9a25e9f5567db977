"""What a run that is probably no good says, and that others say nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from charseq.manifest import Manifest
from tests.support.datasets import write_dataset
from trainer.run_warnings import accuracy_warnings, dataset_warnings, update_warnings

pytestmark = pytest.mark.unit

UNKNOWN = (
    "10.0 % of the characters are outside the alphabet of 4, and the model cannot tell them apart: "
    "prepare the rows with python -m pipeline --alphabet-size auto"
)
CUT = (
    "15.0 % of the rows are longer than 6 characters and were cut: prepare them with python -m "
    "pipeline --max-length auto"
)


def manifest_with(directory: Path, **counts: Any) -> Manifest:
    """A manifest of 16 train and 2 validation rows of five characters, and 2 duplicates."""
    rows = [("ABCAB", "x"), ("ABCAC", "y")]
    manifest = write_dataset(directory, {"train": rows * 8, "validation": rows}).manifest
    return replace(manifest, counts=replace(manifest.counts, duplicates=2, **counts))


@pytest.mark.parametrize(
    ("counts", "warnings"),
    [
        ({"unknown_characters": 8, "truncated": 1}, []),
        ({"unknown_characters": 9, "truncated": 1}, [UNKNOWN]),
        ({"unknown_characters": 9, "truncated": 3}, [UNKNOWN, CUT]),
    ],
)
def test_unknown_characters_and_rows_that_were_cut(
    tmp_path: Path, counts: dict[str, int], warnings: list[str]
) -> None:
    assert list(dataset_warnings(manifest_with(tmp_path, **counts))) == warnings


def test_few_updates() -> None:
    assert list(update_warnings(300)) == []
    (warning,) = update_warnings(10)
    assert "updated only 10 times in all" in warning
    assert "--epochs or a smaller --batch-size" in warning


@pytest.mark.parametrize(
    ("accuracy", "validation", "warns"),
    [
        (0.75, {"x": 75, "y": 25}, True),
        (0.5, {"x": 75, "y": 25}, True),
        (0.76, {"x": 75, "y": 25}, False),
        (1.0, {"x": 100}, False),
        # As float32 sums give it.
        (0.75000001, {"x": 75, "y": 25}, True),
    ],
)
def test_a_model_that_is_right_no_more_often_than_one_label(
    tmp_path: Path, accuracy: float, validation: dict[str, Any], warns: bool
) -> None:
    manifest = manifest_with(tmp_path)
    shards = tuple(
        replace(shard, records=50) if shard.split == "validation" else shard
        for shard in manifest.shards
    )
    manifest = replace(manifest, shards=shards, label_counts={"validation": validation})
    warnings = list(accuracy_warnings(accuracy, manifest))
    assert len(warnings) == warns
    if accuracy == 0.5:
        assert warnings == [
            "on validation the model gives the right label to 50.0 % of the rows, and one label "
            "for everything to 75.0 %: give more --epochs or another --learning-rate"
        ]

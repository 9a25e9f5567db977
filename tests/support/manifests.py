"""A small manifest, for tests that need one and not the files of its dataset."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from charseq.examples import feature_spec
from charseq.manifest import Manifest, RowCounts
from pipeline.compare.profile import Named, Profile

_MANIFEST = Manifest(
    format_version=1,
    fingerprint="0123456789abcdef" * 4,
    encoding="ids",
    compression="none",
    max_length=3,
    alphabet_size=2,
    padding_id=0,
    unknown_id=3,
    alphabet=("A", "B"),
    labels=("x", "y"),
    feature_spec=feature_spec("ids", 3, 2),
    counts=RowCounts(2, 2, 0, 0, 0, 0, {}, 0, 0, 0),
    length_histogram={"train": {"1": 2}},
    label_counts={"train": {"x": 1, "y": 1}},
    shards=(),
    inputs=(),
    options={},
    versions={},
)


TRAIN = Named("data (train)", Profile(2, {"x": 1, "y": 1}, {1: 2}, {"A": 2}, 0.0, {}, 2))


def toy_manifest(**changes: Any) -> Manifest:
    """Return a manifest of two records without a shard, with some fields changed."""
    return replace(_MANIFEST, **changes)

"""The manifest's own rules: all rows are accounted for, and what the fingerprint covers."""

from __future__ import annotations

import pytest

from charseq.errors import DataError
from pipeline.dataset.manifest import _require_all_rows, feature_spec, fingerprint
from pipeline.options import Options

pytestmark = pytest.mark.unit

COUNTS = {"read": 10, "train": 4, "validation": 1, "test": 2, "duplicates": 2, "rejected": 1}


def test_a_lost_row_stops_the_publication() -> None:
    _require_all_rows(COUNTS)
    with pytest.raises(DataError, match=r"11 rows were read, but 4 train .* make 10"):
        _require_all_rows({**COUNTS, "read": 11})


def test_feature_specs() -> None:
    scalar = {"shape": [], "dtype": "int64"}
    ids = Options(input=("i",), output="o", max_length=7, alphabet_size=9)
    assert feature_spec(ids) == {
        "sequence": {"shape": [7], "dtype": "int64"}, "length": scalar, "label": scalar
    }  # fmt: skip
    one_hot = Options(input=("i",), output="o", encoding="one_hot")
    assert feature_spec(one_hot)["sequence"] == {"shape": [31, 25], "dtype": "float32"}


def test_the_fingerprint_covers_what_was_produced_and_nothing_else() -> None:
    produced = {
        "format_version": 1, "encoding": "ids", "compression": "none", "max_length": 31,
        "alphabet_size": 2, "alphabet": ["A", "é"], "labels": ["x", "y"], "feature_spec": {},
        "shards": [{"path": "train/part-00000-of-00001.tfrecord", "sha256": "0"}],
    }  # fmt: skip
    expected = fingerprint({**produced, "inputs": ["here"], "versions": {"numpy": "1"}})
    assert fingerprint({**produced, "inputs": ["there"], "versions": {}}) == expected
    for name, other in (("labels", ["y", "x"]), ("shards", []), ("max_length", 30)):
        assert fingerprint({**produced, name: other}) != expected

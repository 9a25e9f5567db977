"""A fold as a view of a dataset."""

from __future__ import annotations

from dataclasses import replace

import pytest

from charseq.errors import DataError
from charseq.folds import fold_names, records_of_parts, roles, view_fold
from charseq.manifest import Manifest, Shard
from tests.support.manifests import toy_manifest

pytestmark = pytest.mark.unit

NAMES = fold_names(3)


def folded() -> Manifest:
    """Return a dataset of three folds of 4, 5 and 6 records."""
    shards = [
        Shard(f"{name}/part-00000-of-00001.tfrecord", name, 4 + number, 9, "ab")
        for number, name in enumerate(NAMES)
    ]
    manifest = toy_manifest(
        options={"folds": 3},
        shards=tuple(shards),
        label_counts={"fold-0": {"x": 4}, "fold-1": {"x": 2, "y": 3}, "fold-2": {"y": 6}},
        label_weights={"fold-0": {"x": 2.0}, "fold-1": {"x": 1.5, "y": 4.0}, "fold-2": {"y": 9.0}},
        length_histogram={"fold-0": {"1": 4}, "fold-1": {"1": 5}, "fold-2": {"1": 1, "2": 5}},
    )
    return replace(manifest, counts=replace(manifest.counts, train=15, validation=0, test=0))


def test_one_part_is_test_and_the_next_validation() -> None:
    assert NAMES == ("fold-0", "fold-1", "fold-2")
    assert roles(3, 1) == {"fold-0": "train", "fold-1": "test", "fold-2": "validation"}
    assert roles(4, 3) == {
        **{"fold-0": "validation", "fold-1": "train"},
        **{"fold-2": "train", "fold-3": "test"},
    }


def test_a_view_has_the_splits_of_its_fold() -> None:
    manifest = folded()
    view = view_fold(manifest, 2, "data")
    assert [(shard.split, shard.path[:6]) for shard in view.shards] == [
        ("train", "fold-1"),
        ("validation", "fold-0"),
        ("test", "fold-2"),
    ]
    counts = view.counts
    assert (counts.train, counts.validation, counts.test) == (5, 4, 6)
    assert [view.records(split) for split in ("train", "validation", "test")] == [5, 4, 6]
    assert view.label_counts == {
        "train": {"x": 2, "y": 3},
        "validation": {"x": 4},
        "test": {"y": 6},
    }
    assert view.label_weights == {
        "train": {"x": 1.5, "y": 4.0},
        "validation": {"x": 2.0},
        "test": {"y": 9.0},
    }
    assert view_fold(manifest, 0, "data").label_weights == {
        "train": {"y": 9.0},
        "validation": {"x": 1.5, "y": 4.0},
        "test": {"x": 2.0},
    }
    assert view.length_histogram["test"] == {"1": 1, "2": 5}
    assert view.fingerprint == manifest.fingerprint
    several = view_fold(replace(manifest, options={"folds": 3}), 0, "data")
    assert several.label_counts["train"] == {"y": 6}
    assert records_of_parts(manifest) == {"fold-0": 4, "fold-1": 5, "fold-2": 6}


def test_a_dataset_without_folds_is_its_own_view() -> None:
    manifest = toy_manifest()
    assert view_fold(manifest, None, "data") is manifest
    with pytest.raises(DataError, match=r"^data has no folds: it was prepared without --folds"):
        view_fold(manifest, 0, "data")


@pytest.mark.parametrize(
    ("fold", "got"), [(None, "no --fold was given"), (3, "--fold 3 was given")]
)
def test_a_fold_that_is_not_there(fold: int | None, got: str) -> None:
    message = rf"^data has 3 folds, and {got}: say which one is the test split, 0 to 2$"
    with pytest.raises(DataError, match=message):
        view_fold(folded(), fold, "data")

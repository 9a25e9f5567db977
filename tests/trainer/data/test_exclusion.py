"""Rows that are left out of what is read: the same batches as of a dataset that never had them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from charseq.exclusion import Excluded
from tests.support.datasets import Row, rows_of, toy_rows, write_dataset
from trainer.data.batches import Batches
from trainer.data.dataset import Dataset
from trainer.data.records import read_records

SHARDS = 3
TRAIN, VALIDATION = toy_rows(1500), toy_rows(40, seed=1)
# Of the first shard, a whole chunk of 128 records and some others; of the second, all; of the
# third, none.
REMOVED = {0: [*range(128), 200, 255, 256, 499], 1: [*range(500)]}
PATHS = [f"train/part-{number:05d}-of-{SHARDS:05d}.tfrecord" for number in range(SHARDS)]


def without(rows: list[Row]) -> list[Row]:
    """The rows of the train split in an order whose shards are those that are left."""
    shards = [
        [row for place, row in enumerate(rows[number::SHARDS]) if place not in removed]
        for number, removed in ((number, set(REMOVED.get(number, []))) for number in range(SHARDS))
    ]
    return [row for shard in shards for row in shard]


@pytest.fixture(scope="module", name="datasets")
def _datasets(tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataset, list[Row]]:
    folder = tmp_path_factory.mktemp("data")
    whole = write_dataset(
        folder / "whole", {"train": TRAIN, "validation": VALIDATION}, shards=SHARDS
    )
    positions = {PATHS[number]: np.array(removed) for number, removed in REMOVED.items()}
    shards = tuple(
        replace(shard, records=shard.records - len(positions.get(shard.path, ())))
        for shard in whole.manifest.shards
    )
    manifest = replace(whole.manifest, shards=shards)
    excluded = Excluded("ab" * 32, positions, 1, 0)
    return replace(whole, manifest=manifest, excluded=excluded), without(TRAIN)


@pytest.mark.parametrize("chunk", [1, 128, 300])
def test_the_other_records_are_read_in_their_order(
    datasets: tuple[Dataset, list[Row]], chunk: int
) -> None:
    dataset, rows = datasets
    paths = [shard.path for shard in dataset.manifest.shards_of("train")]
    assert paths == [PATHS[0], PATHS[2]]
    sizes = [len(batch) for batch in read_records(dataset, paths, chunk).as_numpy_iterator()]
    assert sum(sizes) == len(rows) == 868
    assert set(sizes[:-1]) == {chunk}


@pytest.mark.parametrize("cache", ["none", "memory"])
def test_an_epoch_has_the_rows_that_are_left(
    datasets: tuple[Dataset, list[Row]], cache: str, tmp_path: Path
) -> None:
    dataset, rows = datasets
    got = rows_of(Batches(dataset, "embedding", 16, 3, cache).training(2))
    left = write_dataset(tmp_path, {"train": rows, "validation": VALIDATION}, shards=1)
    expected = rows_of(Batches(left, "embedding", 16, 3, cache).training(2))
    assert sorted(got) == sorted(expected)
    validation = rows_of(Batches(dataset, "embedding", 16).evaluation("validation"))
    assert len(validation) == 40

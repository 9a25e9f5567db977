"""Several datasets that are read as one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from charseq.errors import DataError
from tests.support.datasets import change_manifest, rows_of, write_chain
from trainer.data.batches import Batches
from trainer.data.dataset import chain_datasets, open_datasets
from trainer.data.records import read_errors_as_data_error


def test_a_chain_has_the_rows_of_all_its_datasets(tmp_path: Path) -> None:
    base, first, second = write_chain(tmp_path)
    chain = chain_datasets([second, base, first])
    assert [member.directory for member in chain.members] == [
        f"{tmp_path}/{name}" for name in ("base", "first", "second")
    ]
    for split, rows in (("train", 70), ("validation", 15), ("test", None)):
        got = rows_of(Batches(chain, "embedding", 8).evaluation(split))
        parts = [
            row
            for member in chain.members
            if member.manifest.records(split)
            for row in rows_of(Batches(member, "embedding", 8).evaluation(split))
        ]
        assert sorted(got) == sorted(parts)
        assert len(got) == (rows or chain.manifest.records(split))
    assert chain.manifest.labels == ("y", "x", "z")


@pytest.mark.parametrize("cache", ["none", "memory"])
def test_the_order_of_rows_does_not_depend_on_the_order_of_the_datasets(
    tmp_path: Path, cache: str
) -> None:
    base, first, second = write_chain(tmp_path)
    orders = [
        rows_of(Batches(chain_datasets(given), "embedding", 8, 3, cache).training(2))
        for given in ([base, first, second], [second, first, base])
    ]
    assert orders[0] == orders[1]


def test_one_directory_is_opened_as_ever(tmp_path: Path) -> None:
    base, first, _ = write_chain(tmp_path)
    with open_datasets([base.directory]) as dataset:
        assert replace(dataset, files=base.files) == base
    with open_datasets([first.directory]) as dataset:  # Without the one that it adds rows to.
        assert replace(dataset, files=first.files) == first


def test_files_that_are_no_shards_are_those_of_the_last_dataset(tmp_path: Path) -> None:
    chain = chain_datasets(write_chain(tmp_path))
    assert chain.verified_path("parity.jsonl") == f"{tmp_path}/second/parity.jsonl"
    assert chain.display_path("0/train/part") == f"{tmp_path}/base/train/part"
    assert chain.files.size("parity.jsonl") == (tmp_path / "second/parity.jsonl").stat().st_size


def test_a_chain_notices_that_one_of_its_datasets_is_replaced(tmp_path: Path) -> None:
    datasets = write_chain(tmp_path)
    chain = chain_datasets(datasets)
    assert chain.manifest_sha256 == chain_datasets(datasets[::-1]).manifest_sha256
    chain.check_unchanged()
    change_manifest(tmp_path / "first", notes=("replaced",))
    with pytest.raises(DataError, match=f"^{tmp_path}/first/dataset.json: replaced while it was u"):
        chain.check_unchanged()
    with open_datasets([each.directory for each in datasets]) as now:
        assert now.manifest_sha256 != chain.manifest_sha256


def test_a_corrupted_shard_is_named_with_its_dataset(tmp_path: Path) -> None:
    chain = chain_datasets(write_chain(tmp_path))
    shard = tmp_path / "first/train/part-00001-of-00002.tfrecord"
    content = bytearray(shard.read_bytes())
    content[-10] ^= 1
    shard.write_bytes(content)
    with (
        pytest.raises(DataError, match=f"^{tmp_path}/first: train/part-00001.*, record 10: corr"),
        read_errors_as_data_error(chain),
    ):
        list(Batches(chain, "embedding", 8).training(1))

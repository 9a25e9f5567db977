from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from charseq.errors import DataError
from charseq.manifest import index_path
from tests.support.datasets import change_manifest, write_chain
from trainer.data.dataset import Dataset, chain_datasets
from trainer.promote.overlap import count_seen, count_trained_on


def hashes(*values: int) -> np.ndarray:
    return np.array(values, np.uint64)


def test_rows_are_counted_whose_hash_is_in_a_block() -> None:
    blocks = [hashes(1, 5, 5, 9), hashes(), hashes(2, 9, 2**64 - 1)]
    assert count_seen(hashes(9, 5, 5, 3, 2**64 - 1), blocks) == 4
    assert count_seen(hashes(3, 10), blocks) == 0
    assert count_seen(hashes(), blocks) == 0


def write_indices(dataset: Dataset, split: str, first: int) -> None:
    """Give the rows of a split the hashes `first`, `first` + 1, …."""
    for shard in dataset.manifest.shards_of(split):
        path = Path(dataset.directory, index_path(shard.path))
        path.parent.mkdir(parents=True, exist_ok=True)
        of_rows = np.arange(first, first + shard.records, dtype=np.uint64)
        np.save(path, np.stack([of_rows, of_rows], axis=1))
        first += shard.records


@pytest.fixture
def chain(tmp_path: Path) -> Dataset:
    """A chain with test rows 1000, …; the first three of `first` are trained on in `base`."""
    base, first, second = datasets = write_chain(tmp_path)
    for dataset, train, test in ((base, 1, 1000), (first, 100, 38), (second, 200, 0)):
        write_indices(dataset, "train", train)
        write_indices(dataset, "test", test)
    return chain_datasets(datasets)


def write_model(folder: Path, data: str | list[str], fingerprint: str) -> str:
    (folder / "model" / "assets").mkdir(parents=True)
    run = {"options": {"data": data}, "dataset": {"fingerprint": fingerprint}}
    (folder / "model" / "assets" / "run.json").write_text(json.dumps(run))
    return str(folder / "model")


def test_test_rows_of_a_chain_are_counted_that_a_model_of_its_first_dataset_saw(
    chain: Dataset, tmp_path: Path
) -> None:
    base = chain.members[0]
    assert base.manifest.records("train") == 40  # Hashes 1 to 40.
    model = write_model(tmp_path, base.directory, base.manifest.fingerprint)
    assert count_trained_on(model, chain, "test") == 3  # 38, 39 and 40 of `first`.
    assert count_trained_on(model, base, "test") == 0


def test_a_model_of_a_chain_has_seen_the_train_rows_of_all(chain: Dataset, tmp_path: Path) -> None:
    data = [member.directory for member in chain.members]
    model = write_model(tmp_path, data, chain.manifest.fingerprint)
    assert count_trained_on(model, chain.members[2], "train") == 10
    assert count_trained_on(model, chain.members[1], "test") == 3


def test_what_cannot_be_known_is_said(chain: Dataset, tmp_path: Path) -> None:
    base, first, _ = chain.members
    model = write_model(tmp_path, base.directory, base.manifest.fingerprint)
    shutil.rmtree(Path(first.directory, "index", "test"))
    with pytest.raises(DataError, match=f"^{first.directory} has no index of its rows$"):
        count_trained_on(model, chain, "test")
    index = Path(base.directory, index_path(base.manifest.shards_of("train")[0].path))
    index.write_bytes(b"no index")
    with pytest.raises(DataError, match=r"^an index cannot be read: "):
        count_trained_on(model, base, "test")
    other = change_manifest(Path(base.directory), options={"seed": 1})
    with pytest.raises(DataError, match=f"^{base.directory} has another seed, length or normaliz"):
        count_trained_on(model, base, "test")
    change_manifest(Path(base.directory), labels=("a",))
    with pytest.raises(DataError, match=f"^{base.directory} is another dataset now$"):
        count_trained_on(model, other, "test")
    shutil.rmtree(base.directory)
    with pytest.raises(DataError, match=f"^{base.directory}: no such directory$"):
        count_trained_on(model, other, "test")

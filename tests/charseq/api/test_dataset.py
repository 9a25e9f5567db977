"""A dataset opened in Python: what is in it, and its records."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from charseq import DataError, Dataset, UsageError, open_dataset
from tests.support.datasets import one_hot, write_dataset

ROWS = [("AB?", "x"), ("B", "y"), ("CABCABCC", "z")]
SPLITS = {"train": ROWS, "validation": [("A", "x")], "test": []}
IDS = [[1, 2, 5, 0, 0, 0], [2, 0, 0, 0, 0, 0], [3, 1, 2, 3, 1, 2]]


def write(directory: Path, **options: Any) -> Dataset:
    write_dataset(directory, SPLITS, **{"shards": 1, **options})
    return open_dataset(directory)


def test_what_is_in_it(tmp_path: Path) -> None:
    dataset = write(tmp_path)
    assert dataset.labels == ("y", "x", "z")
    assert dataset.alphabet == "ABC"
    assert dataset.counts == {
        "read": 4,
        "train": 3,
        "validation": 1,
        "test": 0,
        "duplicates": 0,
        "rejected": 0,
    }
    assert repr(dataset) == (
        f"<charseq.Dataset '{tmp_path}': train 3, validation 1, test 0; 3 labels, 3 characters, "
        "max_length 6>"
    )
    assert Path(dataset) == tmp_path


@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize("encoding", ["ids", "one_hot"])
def test_arrays(tmp_path: Path, encoding: str, compression: str) -> None:
    dataset = write(tmp_path, encoding=encoding, compression=compression)
    expected: Any = IDS if encoding == "ids" else [one_hot(ids) for ids in IDS]
    arrays = dataset.to_numpy("train")
    assert arrays["sequence"].tolist() == expected
    assert arrays["sequence"].dtype == (np.int64 if encoding == "ids" else np.float32)
    assert arrays["length"].tolist() == [3, 1, 6]
    assert arrays["label"].tolist() == [1, 0, 2]
    assert dataset.to_numpy("train", 2)["length"].tolist() == [3, 1]
    assert dataset.to_numpy("train", limit=0)["sequence"].shape[0] == 0
    assert dataset.to_numpy("test")["label"].shape == (0,)
    frame = dataset.to_pandas("train", limit=9)
    assert frame.to_dict("list") == {
        "sequence": ["AB\N{REPLACEMENT CHARACTER}", "B", "CABCAB"],
        "label": ["x", "y", "z"],
        "length": [3, 1, 6],
    }
    assert dataset.to_pandas("test").columns.tolist() == ["sequence", "label", "length"]


def test_batches(tmp_path: Path) -> None:
    batches = write(tmp_path, shards=2).to_tf("train", 2)
    assert len(batches) == 2
    (inputs, labels), (rest, last) = batches.as_numpy_iterator()
    # The first of two shards holds the first row and the third.
    assert inputs["sequence"].tolist() == [IDS[0], IDS[2]]
    assert inputs["length"].tolist() == [3, 6]
    assert labels.tolist() == [1, 2]
    assert (rest["sequence"].tolist(), last.tolist()) == ([IDS[1]], [0])
    assert set(inputs) == {"sequence", "length"}


def test_weights_come_third(tmp_path: Path) -> None:
    dataset = write(tmp_path, weight_of=lambda text: len(text) / 2)
    ((_, _, weights),) = dataset.to_tf("train", 8).as_numpy_iterator()
    assert weights.tolist() == [1.5, 0.5, 4.0]
    assert dataset.to_pandas("train")["weight"].tolist() == [1.5, 0.5, 4.0]


def test_a_seed_gives_each_iteration_another_order(tmp_path: Path) -> None:
    texts = [a + b + c for a in "ABC" for b in "ABC" for c in "ABC"]
    write_dataset(tmp_path, {"train": [(text, "x") for text in texts]}, shards=3)
    dataset = open_dataset(tmp_path)

    def order(seed: int | None, iterations: int = 1) -> list[list[list[int]]]:
        batches = dataset.to_tf("train", 27, seed)
        return [next(iter(batches))[0]["sequence"].numpy().tolist() for _ in range(iterations)]

    stored = order(None, 2)
    assert stored[0] == stored[1] == dataset.to_numpy("train")["sequence"].tolist()
    first, second = order(3, 2)
    assert sorted(first) == sorted(second) == sorted(stored[0])
    assert first != second
    assert stored[0] not in (first, second)
    assert order(3) == [first]
    assert order(4) != [first]


def test_folds_are_splits(tmp_path: Path) -> None:
    write_dataset(tmp_path, {"fold-0": ROWS, "fold-1": ROWS[:2], "fold-2": []}, shards=1)
    dataset = open_dataset(str(tmp_path))
    assert dataset.to_numpy("fold-1")["length"].tolist() == [3, 1]
    with pytest.raises(UsageError, match=r"got 'train', expected one of fold-0, fold-1, fold-2$"):
        dataset.to_numpy("train")


def test_arguments_that_are_refused(tmp_path: Path) -> None:
    dataset = write(tmp_path)
    with pytest.raises(UsageError, match=r"^split: got 'tset', expected one of train, validation,"):
        dataset.to_tf("tset", 2)
    with pytest.raises(UsageError, match=r"^batch_size: got 0, expected 1 or more$"):
        dataset.to_tf("train", 0)
    with pytest.raises(UsageError, match=r"^limit: got -1, expected 0 or more, or None$"):
        dataset.to_pandas("train", -1)


def test_directories_that_are_no_dataset(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no dataset.json: not a dataset, or its prep"):
        open_dataset(tmp_path)
    with pytest.raises(DataError, match=r"gone: no such directory$"):
        open_dataset(tmp_path / "gone")
    with pytest.raises(UsageError, match=r"^path: got 's3://b/d', expected a local directory"):
        open_dataset("s3://b/d")
    with pytest.raises(UsageError, match=r"^path: got '', expected a path$"):
        open_dataset("")


def test_a_file_that_is_damaged_or_gone(tmp_path: Path) -> None:
    dataset = write(tmp_path)
    shard = tmp_path / "train" / "part-00000-of-00001.tfrecord"
    content = bytearray(shard.read_bytes())
    content[20] ^= 1
    shard.write_bytes(content)
    message = "^{}: train cannot be read: .*; charseq verify {} looks at all of it$"
    with pytest.raises(DataError, match=message.format(tmp_path, tmp_path)):
        dataset.to_numpy("train")
    shard.write_bytes(content[:-1])
    with pytest.raises(DataError, match=r"tfrecord: got \d+ bytes, expected \d+ by dataset.json$"):
        open_dataset(tmp_path)
    shard.unlink()
    with pytest.raises(DataError, match=r"no such file, but dataset.json names it as a shard$"):
        open_dataset(tmp_path)


def test_pandas_may_be_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = write(tmp_path)
    imported = builtins.__import__

    def without_pandas(name: str, *rest: Any, **more: Any) -> Any:
        if name == "pandas":
            raise ImportError(name)
        return imported(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without_pandas)
    with pytest.raises(DataError, match=r"^pandas is not installed: pip install pandas$"):
        dataset.to_pandas("train")


def test_its_html_is_escaped(tmp_path: Path) -> None:
    directory = tmp_path / "<b>"
    page = write(directory)._repr_html_()
    assert "&lt;b&gt;" in page
    assert '<td style="text-align: right"><b>3</b></td>' in page
    assert "ids, (6,) int64" in page

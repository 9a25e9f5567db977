"""The baseline of a dataset: which rows it is trained on, and that one_hot records are the same."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

import trainer.baseline.training as training
from charseq.errors import DataError
from charseq.manifest import Shard
from tests.support.datasets import LABELS, MAX_LENGTH, encode, toy_rows, write_dataset
from trainer.baseline.linear import fit
from trainer.baseline.ngrams import distinct_ngrams
from trainer.baseline.training import BaselineTraining, read_ngrams
from trainer.data import id_rows
from trainer.data.records import first_shards

pytestmark = pytest.mark.unit

ROWS = toy_rows(600)


def test_it_learns_the_first_character(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path, {"train": ROWS})
    ngrams, labels, weights = read_ngrams(dataset)
    assert weights is None
    model = fit(ngrams, labels, len(LABELS))
    test = toy_rows(200, seed=1)
    ids = np.array([encode(text) for text, _ in test])
    lengths = np.array([min(len(text), MAX_LENGTH) for text, _ in test])
    expected = [LABELS.index(label) for _, label in test]
    predicted = model.probabilities(distinct_ngrams(ids, lengths)).argmax(axis=1)
    assert (predicted == expected).mean() > 0.97


def test_one_hot_records_give_the_same_ngrams(tmp_path: Path) -> None:
    (ids, labels, _), (one_hot, same_labels, _) = (
        read_ngrams(write_dataset(tmp_path / encoding, {"train": ROWS}, encoding=encoding))
        for encoding in ("ids", "one_hot")
    )
    assert len(labels) == 600
    assert labels.tobytes() == same_labels.tobytes()
    assert ids.buckets.tobytes() == one_hot.buckets.tobytes()
    assert ids.counts.tobytes() == one_hot.counts.tobytes()


@pytest.mark.parametrize("max_rows", [1, 100, 128, 599])
def test_it_stops_at_so_many_rows(tmp_path: Path, max_rows: int) -> None:
    _, labels, _ = read_ngrams(write_dataset(tmp_path, {"train": ROWS}), max_rows)
    assert len(labels) == max_rows


def test_it_stops_at_so_many_characters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [("ABCAB", "x"), ("AB", "y"), ("ABC", "z"), ("A", "x")]
    dataset = write_dataset(tmp_path, {"train": rows}, shards=1)
    monkeypatch.setattr(training, "MAX_CHARACTERS", 9)
    assert len(read_ngrams(dataset)[1]) == 2
    monkeypatch.setattr(training, "MAX_CHARACTERS", 10)
    monkeypatch.setattr(id_rows, "_ROWS_AT_ONCE", 1)
    assert len(read_ngrams(dataset)[1]) == 3


def test_no_more_shards_are_read_than_hold_the_rows(tmp_path: Path) -> None:
    manifest = write_dataset(tmp_path, {"train": ROWS[:4]}).manifest
    shards = tuple(Shard(f"train/{n}", "train", n, 0, "") for n in (0, 3, 4, 5))
    manifest = dataclasses.replace(manifest, shards=shards)
    assert first_shards(manifest, 3) == ["train/3"]
    assert first_shards(manifest, 4) == ["train/3", "train/4"]
    assert first_shards(manifest, 100) == ["train/3", "train/4", "train/5"]


def test_the_file_is_written_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dataset = write_dataset(tmp_path / "data", {"train": ROWS})
    (tmp_path / "run").mkdir()
    BaselineTraining(dataset).save(str(tmp_path / "run"))
    assert (tmp_path / "run" / "ngram_baseline.npz").exists()
    assert capsys.readouterr().out == "n-gram baseline: trained on 600 rows\n"


def test_a_dataset_that_is_replaced_meanwhile_leaves_no_file(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path, {"train": ROWS[:5]})
    (tmp_path / "dataset.json").write_text("{}")
    with pytest.raises(DataError, match=r"dataset\.json: replaced while it was used"):
        BaselineTraining(dataset).save(str(tmp_path))
    assert not (tmp_path / "ngram_baseline.npz").exists()

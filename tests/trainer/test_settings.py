"""The options that follow the dataset."""

from __future__ import annotations

from typing import Any

import pytest

from charseq.errors import DataError
from charseq.manifest import Manifest, Shard
from tests.support.manifests import toy_manifest
from trainer.config import Config
from trainer.data.dataset import Dataset
from trainer.data.files import LocalFiles
from trainer.settings import Settings, ngram_defaults, resolve, table_rates

pytestmark = pytest.mark.unit


def manifest_of(rows: int = 500, **changes: Any) -> Manifest:
    """Return the manifest of a dataset of so many train rows, each of 10 characters."""
    shard = Shard("train/part-00000-of-00001.tfrecord", "train", rows, 1, "")
    lengths = {"train": {"10": rows}}
    return toy_manifest(**{"shards": (shard,), "length_histogram": lengths, **changes})


def dataset_of(**changes: Any) -> Dataset:
    return Dataset(manifest_of(**changes), LocalFiles("prepared"), b"")


@pytest.mark.parametrize(
    ("rows", "batch_size", "epochs", "dropout", "ngram_dropout", "buckets", "lstms", "lstm_rate"),
    [
        (500, 16, 12, 0.3, 0.5, 2**16, 3, 5),
        (5_764, 32, 12, 0.3, 0.5, 2**18, 3, 5),
        (50_000, 256, 12, 0.3, 0.5, 2**20, 2, 5),
        (170_000, 512, 9, 0.26, 0.43, 2**20, 1, 60 / 9),
        (780_000, 512, 2, 0.12, 0.2, 2**20, 1, 30),
        (50_000_000, 512, 1, 0.09, 0.14, 2**20, 1, 60),
    ],
)
def test_a_training_of_ngrams_follows_the_rows(
    rows: int,
    batch_size: int,
    epochs: int,
    dropout: float,
    ngram_dropout: float,
    buckets: int,
    lstms: int,
    lstm_rate: float,
) -> None:
    manifest = manifest_of(rows)
    chosen = ngram_defaults(manifest)
    names = ("batch_size", "epochs", "dropout", "ngram_dropout", "ngram_buckets", "ensemble")
    got = [chosen[name] for name in names]
    assert got == [batch_size, epochs, dropout, ngram_dropout, buckets, lstms]
    assert table_rates(manifest) == pytest.approx((400, lstm_rate))


def test_long_sequences_are_trained_on_in_fewer_epochs() -> None:
    manifest = manifest_of(12_000, length_histogram={"train": {"250": 12_000}})
    assert ngram_defaults(manifest)["epochs"] == 5
    assert table_rates(manifest) == (400, 12)


def test_a_flag_overrides_what_follows_the_rows() -> None:
    settings = resolve(Config(data=("d",), output="o", epochs=7, dropout=0.0, seed=3), dataset_of())
    assert (settings.representation, settings.epochs, settings.dropout) == ("ngrams", 7, 0.0)
    assert (settings.schedule, settings.best_by, settings.seed) == ("cosine", "last", 3)
    assert settings.chosen()["units"] == [64]


def test_a_plain_representation_has_the_same_values_for_any_rows() -> None:
    settings = resolve(Config(data=("d",), output="o", representation="embedding"), dataset_of())
    assert settings == Settings(data=("d",), output="o")


def test_records_decide_the_representation() -> None:
    config = Config(data=("d",), output="o")
    assert resolve(config, dataset_of()).representation == "ngrams"
    assert resolve(config, dataset_of(encoding="one_hot")).representation == "one_hot"
    with pytest.raises(DataError, match="'ngrams' needs a dataset of --encoding ids"):
        resolve(
            Config(data=("d",), output="o", representation="ngrams"), dataset_of(encoding="one_hot")
        )

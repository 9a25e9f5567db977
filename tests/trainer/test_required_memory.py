"""Options that this machine has too little memory for."""

from __future__ import annotations

from typing import Any

import pytest

from charseq.errors import UsageError
from charseq.manifest import Shard
from tests.support.manifests import toy_manifest
from trainer import required_memory
from trainer.required_memory import batch_bytes, check_memory, count_weights
from trainer.settings import Settings

pytestmark = pytest.mark.unit

GB = 10**9
ROWS = {"shards": (Shard("train/part-00000-of-00001.tfrecord", "train", 100_000_000, 0, ""),)}


def config(**changes: Any) -> Settings:
    return Settings(data=("data",), output="run", **changes)


@pytest.mark.parametrize("representation", ["embedding", "one_hot", "scalar"])
def test_weights_are_counted_as_the_model_has_them(representation: str) -> None:
    from trainer.training.build import exported_model

    options = config(units=(5, 3), embedding_dim=4, representation=representation)
    model = exported_model(toy_manifest(), options)
    assert count_weights(options, toy_manifest()) == model.count_params()


def test_a_batch_is_ids_or_floats_and_no_more_than_all_rows() -> None:
    manifest, one_hot = toy_manifest(**ROWS), toy_manifest(encoding="one_hot", **ROWS)
    assert batch_bytes(config(batch_size=10), manifest) == 10 * 3 * 8
    assert batch_bytes(config(batch_size=10), one_hot) == 10 * 3 * 2 * 4
    assert batch_bytes(config(batch_size=2**40), manifest) == 100_000_000 * 3 * 8


def test_more_memory_than_there_is_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(required_memory, "memory_bytes", lambda: GB)
    manifest = toy_manifest(**ROWS)
    check_memory(config(units=(1000, 500)), manifest)
    with pytest.raises(UsageError) as error:
        check_memory(config(units=(5000, 5000), optimizer="sgd"), manifest)
    assert str(error.value) == (
        "--units 5000,5000 with --embedding-dim 16: the weights and what --optimizer sgd keeps of "
        "them take 2.4 GB, more than the 1.0 GB of memory here; choose smaller ones"
    )
    with pytest.raises(UsageError) as error:
        check_memory(config(batch_size=50_000_000), manifest)
    assert str(error.value) == (
        "--batch-size 50000000: a batch of sequences of 3 positions takes 1.2 GB, more than is "
        "left of the 1.0 GB of memory here; choose a smaller one"
    )

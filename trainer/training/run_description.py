"""What `run.json` holds."""

from __future__ import annotations

import platform
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from charseq.process.machine import describe_machine
from trainer.config import Config
from trainer.data.dataset import Dataset
from trainer.parent import Parent
from trainer.training.distributed import strategy_name


def describe_run(
    config: Config,
    dataset: Dataset,
    strategy: tf.distribute.Strategy,
    parent: Parent | None = None,
    **options: str | int,
) -> dict[str, Any]:
    """Return the content of `run.json`: every resolved option, the dataset, versions, machine.

    asked: the options that another machine or dataset may resolve to something else, as the user
    gave them.

    Args:
        config: the options as requested.
        dataset: of the run.
        strategy: that trains.
        parent: what the run goes on from.
        options: what other options are resolved to, by name.
    """
    manifest = dataset.manifest
    requested = config.to_json()
    resolved = {
        **options,
        "strategy": strategy_name(strategy),
        "devices": [name.split("device:")[1] for name in strategy.extended.worker_devices],
    }
    return {
        "options": {**requested, **resolved, "replicas": strategy.num_replicas_in_sync},
        "asked": {name: requested[name] for name in resolved},
        **({"parent": parent.identity} if parent else {}),
        **({"excluded": dataset.excluded.to_json()} if dataset.excluded else {}),
        "dataset": {
            "fingerprint": manifest.fingerprint,
            **_fingerprints(dataset),
            "dataset_json_sha256": dataset.manifest_sha256,
            "encoding": manifest.encoding,
            "max_length": manifest.max_length,
            "alphabet_size": manifest.alphabet_size,
            "alphabet": manifest.alphabet,
            "labels": manifest.labels,
        },
        "versions": {
            "python": platform.python_version(),
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "numpy": np.__version__,
        },
        "machine": describe_machine(),
    }


def _fingerprints(dataset: Dataset) -> dict[str, Any]:
    """Return the fingerprints of the datasets of a chain, in order; nothing for one dataset."""
    fingerprints = [member.manifest.fingerprint for member in dataset.members]
    return {"fingerprints": fingerprints} if fingerprints else {}

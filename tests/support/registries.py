"""Runs for promotions, without a model: a few files, and the scores that a test assigns them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from charseq.files import seal, sha256_of_file
from charseq.measures.metrics import Confusion, Evaluation
from charseq.models.saved_model import ENTRY_FILE, RUN_ASSET
from trainer.data.dataset import Dataset
from trainer.promote.lineage import read_model_json, sha256_of_files, sha256_of_tree

FINGERPRINT = "0123456789abcdef" * 4
MANIFEST: dict[str, Any] = {
    "format_version": 1,
    "fingerprint": FINGERPRINT,
    "encoding": "ids",
    "compression": "none",
    "max_length": 6,
    "alphabet_size": 4,
    "padding_id": 0,
    "unknown_id": 5,
    "alphabet": ["A", "B"],
    "labels": ["x", "y", "z", "w"],
    "feature_spec": {},
    "counts": {
        **dict.fromkeys(("read", "train", "validation", "test", "duplicates", "rejected"), 0),
        **{"rejected_by_reason": {}, "truncated": 0, "ambiguous": 0, "unknown_characters": 0},
    },
    "length_histogram": {},
    "label_counts": {"train": {"x": 2, "y": 1}},
    "shards": [],
    "inputs": [
        {"path": "raw/a.csv", "bytes": 1234, "identity": "sha256:aa11"},
        {"path": "raw/b.csv", "bytes": 56, "identity": "sha256:bb22"},
    ],
    "options": {},
    "versions": {},
    "files": [],
}


SCORES = {
    "accuracy": 0.5,
    "top3_accuracy": 0.75,
    "macro_f1": 0.375,
    "loss": 0.625,
    "calibration_error": 0.25,
}


def fake_measure(saved_model: str, dataset: Dataset, split: str, trust_model: bool) -> Evaluation:
    """Return the scores that stand in a run's own `run.json`."""
    scores = {**SCORES, **read_model_json(saved_model, "assets/run.json")["scores"]}
    return Evaluation(
        **scores,
        split=split,
        fingerprint=dataset.manifest.fingerprint,
        rows=1234,
        labels=(),
        confusion=Confusion((), (), ()),
        lengths=(),
        reliability=(),
    )


def write_data(directory: Path) -> Path:
    """Write a dataset without rows, for tests that replace `measure`."""
    directory.mkdir()
    manifest = {**MANIFEST, "manifest_sha256": seal(MANIFEST, "manifest_sha256")}
    (directory / "dataset.json").write_text(json.dumps(manifest))
    return directory


def write_run(directory: Path, data: Path, labels: Sequence[str] = (), **scores: float) -> Path:
    """Write a complete run on a dataset of `write_data`; its `run.json` holds its scores.

    labels: of its model; () for those of the dataset.
    """
    run = {
        "format_version": 1,
        "options": {
            "data": str(data),
            "representation": "embedding",
            "units": [8, 6],
            "batch_size": 16,
            "overwrite": False,
        },
        "dataset": {
            "fingerprint": FINGERPRINT,
            **{name: MANIFEST[name] for name in ("max_length", "alphabet_size", "alphabet")},
            "labels": MANIFEST["labels"],
        },
        "scores": scores,
    }
    assets = directory / "saved_model" / "assets"
    assets.mkdir(parents=True)
    manifest = json.loads((data / "dataset.json").read_text())
    if labels:
        manifest["labels"] = list(labels)
        manifest["manifest_sha256"] = seal(manifest, "manifest_sha256")
    (assets / "dataset.json").write_text(json.dumps(manifest))
    for path in (directory / "run.json", assets / "run.json"):
        path.write_text(json.dumps(run))
    (directory / "saved_model" / "saved_model.pb").write_text(f"graph of {directory.name}")
    (directory / "saved_model" / "variables").mkdir()
    (directory / "saved_model" / "variables" / "variables.index").write_text("weights")
    return directory


def write_entry(staged: Path, number: int, previous: int | None) -> None:
    """Write the entry of a promoted SavedModel of `write_run`."""
    files = sha256_of_files(str(staged))
    scores = {"rows": 10, "accuracy": 0.75}
    entry = {
        "number": number,
        "previous": previous,
        "promoted": "2026-11-24T12:00:00+00:00",
        "dataset": {"fingerprint": FINGERPRINT},
        "run": {"directory": "/runs/r", "sha256": sha256_of_file(str(staged / RUN_ASSET))},
        "saved_model": {"sha256": sha256_of_tree(files), "files": files},
        "evaluation": {
            "data": "/data",
            "fingerprint": FINGERPRINT,
            "split": "test",
            "metric": "accuracy",
            "min_improvement": 0.0,
            "candidate": scores,
            "previous": {**scores, "accuracy": 0.5} if previous else None,
        },
    }
    path = staged / ENTRY_FILE
    path.parent.mkdir()
    path.write_text(json.dumps({**entry, "entry_sha256": seal(entry, "entry_sha256")}))

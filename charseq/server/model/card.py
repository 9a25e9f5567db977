"""What is known of a version from the files that a registry holds of it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from charseq.files import damage_as_data_error, read_json_object
from charseq.manifest import Manifest
from charseq.models.saved_model import ENTRY_FILE

_SCORES = ("rows", "accuracy", "top3_accuracy", "macro_f1", "loss", "calibration_error")


def read_entry(directory: str) -> Mapping[str, Any]:
    """Return the `entry.json` of a version; an empty one if it has none.

    Raises:
        DataError: it is damaged.
    """
    path = os.path.join(directory, ENTRY_FILE)
    if not os.path.exists(path):
        return {}
    with damage_as_data_error(path, "the entry of a promoted model"):
        return read_json_object(path)


def make_card(manifest: Manifest, entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a version was made of, and how good it was when it was promoted.

    Args:
        manifest: of the dataset that it was trained on.
        entry: its `entry.json`; `promoted` and `evaluation` are None where that has none.
    """
    evaluation = entry.get("evaluation")
    return {
        "labels": list(manifest.labels),
        "max_length": manifest.max_length,
        "alphabet_size": len(manifest.alphabet),
        "dataset": manifest.fingerprint,
        "train_rows": manifest.counts.train,
        "promoted": entry.get("promoted"),
        "evaluation": _scores(evaluation) if isinstance(evaluation, Mapping) else None,
    }


def _scores(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    scores = evaluation.get("candidate") or {}
    found = {name: scores[name] for name in _SCORES if name in scores}
    return {"split": evaluation.get("split"), **found}

"""Check the counts in a `dataset.json` against limits, before the dataset is trained on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def problems(
    manifest: dict[str, Any],
    *,
    min_train_rows: int,
    min_rows_of_label: int,
    max_rejected_fraction: float,
    max_truncated_fraction: float,
) -> list[str]:
    """Return the reasons not to train on a dataset, each as a phrase.

    Args:
        manifest: the content of its `dataset.json`.
        min_train_rows: of the train split.
        min_rows_of_label: in each split that has a share of the rows.
        max_rejected_fraction: of the rows read, 0 to 1.
        max_truncated_fraction: of the rows read, 0 to 1.
    """
    counts = manifest["counts"]
    found = []
    if counts["train"] < min_train_rows:
        found.append(f"train has {counts['train']} rows, expected {min_train_rows} or more")
    for name, limit in (("rejected", max_rejected_fraction), ("truncated", max_truncated_fraction)):
        fraction = counts[name] / counts["read"]
        if fraction > limit:
            found.append(
                f"{counts[name]} of {counts['read']} rows are {name}: {fraction:.2%}, expected "
                f"{limit:.2%} or less"
            )
    return [*found, *_rare_labels(manifest, min_rows_of_label)]


def _rare_labels(manifest: dict[str, Any], least: int) -> Iterator[str]:
    for split, rows in manifest["label_counts"].items():
        rare = [label for label in manifest["labels"] if rows.get(label, 0) < least]
        if rare:
            shown = ", ".join(f"{label!r} ({rows.get(label, 0)})" for label in rare[:5])
            more = f" and {len(rare) - 5} more" if len(rare) > 5 else ""
            yield f"{split} has fewer than {least} rows of {shown}{more}"

"""What a prepared dataset must be to be trained on; of the counts in its `dataset.json` alone."""

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
    """What is wrong with a dataset; nothing if it may be trained on.

    min_rows_of_label: in each split that is to have rows at all. Fractions are of the rows read.
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

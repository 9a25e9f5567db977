"""Warnings of a run that is probably no good: what is wrong, and the flag that helps."""

from __future__ import annotations

from collections.abc import Iterator

from charseq.html.formats import format_share
from charseq.manifest import SPLITS, Manifest

# Of characters or rows: from here on what is lost costs accuracy that can be measured.
_MANY = 0.1
_FEW_UPDATES = 300


def dataset_warnings(manifest: Manifest) -> Iterator[str]:
    """Yield a warning if many characters are unknown, and one if many rows are cut."""
    counts = manifest.counts
    characters = sum(map(manifest.characters, SPLITS))
    if counts.unknown_characters >= _MANY * characters:
        yield (
            f"{format_share(counts.unknown_characters, characters)} of the characters are outside "
            f"the alphabet of {manifest.alphabet_size:,}, and the model cannot tell them apart: "
            "prepare the rows with python -m pipeline --alphabet-size auto"
        )
    usable = counts.train + counts.validation + counts.test + counts.duplicates
    if counts.truncated >= _MANY * usable:
        yield (
            f"{format_share(counts.truncated, usable)} of the rows are longer than "
            f"{manifest.max_length:,} characters and were cut: prepare them with python -m "
            "pipeline --max-length auto"
        )


def update_warnings(updates: int) -> Iterator[str]:
    """Yield a warning if a training has few updates of its weights in all its epochs."""
    if updates < _FEW_UPDATES:
        yield (
            f"the weights are updated only {updates:,} times in all, and a model needs some hundred"
            " updates: give more --epochs or a smaller --batch-size"
        )


def accuracy_warnings(accuracy: float, manifest: Manifest) -> Iterator[str]:
    """Yield a warning if a model is right no more often than one label for everything would be.

    Args:
        accuracy: on the validation split, which is not empty, by the weights of its rows.
        manifest: of the dataset.
    """
    rows = manifest.records("validation")
    counts, weights = (
        of_labels("validation") for of_labels in (manifest.counts_of_labels, manifest.mean_weights)
    )
    most = max(round(count * weight) for count, weight in zip(counts, weights, strict=True))
    if round(accuracy * rows) <= most < rows:
        by_weight = "" if manifest.label_weights is None else ", by their weights"
        yield (
            f"on validation the model gives the right label to {format_share(accuracy)} of the "
            f"rows{by_weight}, and one label for everything to {format_share(most, rows)}: give "
            "more --epochs or another --learning-rate"
        )

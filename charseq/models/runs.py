"""The files of a run directory that others than the trainer read."""

from __future__ import annotations

# The directory of the exported model.
RUN_MODEL = "saved_model"


def evaluation_file(split: str) -> str:
    """Return the name of the file that holds the `Evaluation` of a split."""
    return f"evaluation-{split}.json"

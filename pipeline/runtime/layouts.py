"""What output directories hold: the file that makes them complete, and all others."""

from __future__ import annotations

from dataclasses import dataclass

from charseq.manifest import SPLITS

MANIFEST_FILE = "dataset.json"
PREDICTIONS_FILE = "predictions.json"


@dataclass(frozen=True)
class Layout:
    """The files of a kind of output, which is called `what`.

    Where `manifest` is, the others are, too. others: globs, relative to the output directory.
    """

    what: str
    manifest: str
    others: tuple[str, ...]


_REJECTED = "rejected/part-*.jsonl"

DATASET = Layout(
    "a dataset",
    MANIFEST_FILE,
    (
        *(f"{split}/part-*-of-*.tfrecord*" for split in SPLITS),
        _REJECTED,
        "parity.jsonl",
        "report.html",
        "transform/**",
    ),
)
PREDICTIONS = Layout("predictions", PREDICTIONS_FILE, ("predictions/part-*-of-*.jsonl", _REJECTED))
LAYOUTS = (DATASET, PREDICTIONS)

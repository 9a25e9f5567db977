"""The directory of a run: the names of its files, and how a run begins and becomes complete.

    checkpoints/  model.keras  saved_model/  logs/  metrics.json  metrics.csv
    calibration.json  ngram_baseline.npz  evaluation-SPLIT.json  examples-SPLIT.json
    suspicious.jsonl  report.html  MODEL_CARD.md  run.json

`run.json.partial` is written first and renamed to `run.json` last: where `run.json` is, the run is
complete. All other files but the growing `logs/` appear by a rename, too. A run that did not finish
resumes from its newest checkpoint.

A run that replaces a complete one is written to `replacement/` below it, with the same layout, and
moved into place when it is whole (`trainer.replacement`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from charseq.errors import DataError
from charseq.files import damage_as_data_error, read_json_object, sync, write_json
from charseq.models.runs import RUN_MODEL
from charseq.models.saved_model import RUN_FILE

FORMAT_VERSION = 1
MODEL_FILE = "model.keras"
SAVED_MODEL = RUN_MODEL
LOGS = "logs"
CHECKPOINTS = "checkpoints"
BEST_WEIGHTS = "best.npz"
METRICS_FILE = "metrics.json"
CSV_FILE = "metrics.csv"
REPORT_FILE = "report.html"
MODEL_CARD_FILE = "MODEL_CARD.md"
# Rows of the validation split that look mislabelled.
SUSPICIOUS_FILE = "suspicious.jsonl"
NGRAM_BASELINE_FILE = "ngram_baseline.npz"
PARTIAL_RUN_FILE = f"{RUN_FILE}.partial"
# Names of exports that are not yet checked, or not yet on the disk.
UNFINISHED_MODEL = "model.tmp.keras"
UNFINISHED_SAVED_MODEL = f"{SAVED_MODEL}.tmp"


@dataclass(frozen=True)
class Run:
    """A complete run: what is needed to feed its model. Ids are those of its dataset's manifest.

    fold: of its dataset, the one to test on; None if that has no folds.
    """

    directory: str
    representation: str
    batch_size: int
    fingerprint: str
    max_length: int
    alphabet_size: int
    alphabet: tuple[str, ...]
    labels: tuple[str, ...]
    fold: int | None = None

    def path(self, name: str) -> str:
        """Return the path of a file of the run."""
        return os.path.join(self.directory, name)


def examples_file(split: str) -> str:
    """Return the name of the file that holds rows and n-grams of the evaluation of a split."""
    return f"examples-{split}.json"


def unfinished_run_file(directory: str) -> str:
    """Return the path of the file that becomes `run.json` once the run is complete."""
    return os.path.join(directory, PARTIAL_RUN_FILE)


def resume_run(directory: str, content: Mapping[str, Any]) -> None:
    """Write the unfinished `run.json` of a run; its other files stay."""
    write_json(unfinished_run_file(directory), {"format_version": FORMAT_VERSION, **content})


def complete_run(directory: str) -> None:
    """Mark a run as complete by the rename of its `run.json`."""
    os.replace(unfinished_run_file(directory), os.path.join(directory, RUN_FILE))
    sync(directory)


def read_run(directory: str) -> Run:
    """Read the `run.json` of a complete run.

    Raises:
        DataError: no complete run is there, its `run.json` is damaged, or a newer version of
            charseq wrote it.
    """
    path = os.path.join(directory, RUN_FILE)
    if not os.path.exists(path):
        raise DataError(
            f"{directory} holds no {RUN_FILE}: not a run, or its training did not finish"
        )
    content = read_run_json(path)
    with damage_as_data_error(path, f"a {RUN_FILE} of a training"):
        return _parse_run(directory, content["options"], content["dataset"])


def read_run_json(path: str) -> dict[str, Any]:
    """Read a `run.json` or a `run.json.partial`.

    Raises:
        DataError: a training did not write it, it is damaged, or a newer version of charseq wrote
            it.
    """
    content = read_json_object(path)
    with damage_as_data_error(path, f"a {RUN_FILE} of a training"):
        version = int(content["format_version"])
        if version > FORMAT_VERSION:
            raise DataError(
                f"{path}: got format version {version}, expected at most {FORMAT_VERSION}: the run "
                "was written by a newer version of charseq"
            )
        dict(content["options"]), str(content["dataset"]["fingerprint"])
        return content


def _parse_run(directory: str, options: Mapping[str, Any], dataset: Mapping[str, Any]) -> Run:
    return Run(
        directory=directory,
        representation=options["representation"],
        batch_size=options["batch_size"],
        fingerprint=dataset["fingerprint"],
        max_length=dataset["max_length"],
        alphabet_size=dataset["alphabet_size"],
        alphabet=tuple(dataset["alphabet"]),
        labels=tuple(dataset["labels"]),
        fold=options.get("fold"),
    )

"""The directory of a run: the names of its files, and how a run begins and becomes complete.

    checkpoints/  model.keras  saved_model/  logs/  metrics.json  metrics.csv
    evaluation-SPLIT.json  report.html  run.json

`run.json.partial` is written first and renamed to `run.json` last: where `run.json` is, the run is
complete. All other files but the growing `logs/` appear by a rename, too. A run that did not finish
resumes from its newest checkpoint.
"""

from __future__ import annotations

import glob
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from charseq.errors import DataError
from charseq.files import read_json, write_json
from charseq.saved_model import RUN_FILE

FORMAT_VERSION = 1
MODEL_FILE = "model.keras"
SAVED_MODEL = "saved_model"
LOGS = "logs"
CHECKPOINTS = "checkpoints"
METRICS_FILE = "metrics.json"
CSV_FILE = "metrics.csv"
REPORT_FILE = "report.html"
PARTIAL_RUN_FILE = f"{RUN_FILE}.partial"
# What a new run removes: all files of an earlier one, and what it left unfinished of them.
_REPLACEABLE = (
    "model*.keras",
    f"{SAVED_MODEL}*",
    LOGS,
    f"{METRICS_FILE}*",
    f"{CSV_FILE}*",
    "evaluation-*.json*",
    f"{REPORT_FILE}*",
    CHECKPOINTS,
)


@dataclass(frozen=True)
class Run:
    """A complete run: what is needed to feed its model. Ids are those of its dataset's manifest."""

    directory: str
    representation: str
    batch_size: int
    fingerprint: str
    max_length: int
    alphabet_size: int
    alphabet: tuple[str, ...]
    labels: tuple[str, ...]

    def path(self, name: str) -> str:
        """Return the path of a file of the run."""
        return os.path.join(self.directory, name)


def evaluation_file(split: str) -> str:
    """Return the name of the file that holds the `Evaluation` of a split."""
    return f"evaluation-{split}.json"


def unfinished_run_file(directory: str) -> str:
    """Return the path of the file that becomes `run.json` once the run is complete."""
    return os.path.join(directory, PARTIAL_RUN_FILE)


def begin_run(directory: str, content: Mapping[str, Any]) -> None:
    """Remove the files of an earlier run and write the unfinished `run.json` of a new one.

    An earlier `run.json` is renamed first: killed in between, the run does not look complete.
    """
    if os.path.exists(os.path.join(directory, RUN_FILE)):
        os.replace(os.path.join(directory, RUN_FILE), unfinished_run_file(directory))
    for pattern in _REPLACEABLE:
        for path in glob.glob(os.path.join(glob.escape(directory), pattern)):
            shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)
    resume_run(directory, content)


def resume_run(directory: str, content: Mapping[str, Any]) -> None:
    """Write the unfinished `run.json` of a run; its other files stay."""
    write_json(unfinished_run_file(directory), {"format_version": FORMAT_VERSION, **content})


def complete_run(directory: str) -> None:
    """Mark a run as complete by the rename of its `run.json`."""
    os.replace(unfinished_run_file(directory), os.path.join(directory, RUN_FILE))


def read_run(directory: str) -> Run:
    """Read the `run.json` of a complete run.

    Raises:
        DataError: no complete run is there, or a newer version of charseq wrote it.
    """
    path = os.path.join(directory, RUN_FILE)
    if not os.path.exists(path):
        raise DataError(
            f"{directory} holds no {RUN_FILE}: not a run, or its training did not finish"
        )
    content = read_json(path)
    if content["format_version"] > FORMAT_VERSION:
        raise DataError(
            f"{path}: got format version {content['format_version']}, expected at most "
            f"{FORMAT_VERSION}: the run was written by a newer version of charseq"
        )
    return _parse_run(directory, content["options"], content["dataset"])


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
    )

"""The directory of a run: what it holds, and which file says that it is complete.

    checkpoints/  model.keras  saved_model/  logs/  metrics.json  metrics.csv
    evaluation-SPLIT.json  report.html  run.json

`run.json.partial` is written first and renamed to `run.json` last: where `run.json` is, the run is
complete. Every other file appears by a rename too, but `logs/`, which grow. A run that did not
finish goes on from its newest checkpoint.
"""

from __future__ import annotations

import glob
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from trainer.errors import DataError

FORMAT_VERSION = 1
RUN_FILE = "run.json"
MODEL_FILE = "model.keras"
SAVED_MODEL = "saved_model"
LOGS = "logs"
CHECKPOINTS = "checkpoints"
METRICS_FILE = "metrics.json"
CSV_FILE = "metrics.csv"
REPORT_FILE = "report.html"
_PARTIAL = f"{RUN_FILE}.partial"
_REPLACEABLE = (
    *("model*.keras", f"{SAVED_MODEL}*", LOGS, f"{METRICS_FILE}*", f"{CSV_FILE}*"),
    *("evaluation-*.json*", f"{REPORT_FILE}*", CHECKPOINTS),
)
# Options that change no weight: a run may go on with others.
_FREE_OPTIONS = {"data", "output", "epochs", "checkpoint_every", "keep", "resume", "overwrite"}
_FREE_OPTIONS |= {"early_stop"}


@dataclass(frozen=True)
class Run:
    """What is needed of a complete run to feed its model again; ids as in `Manifest`."""

    directory: str
    representation: str
    batch_size: int
    fingerprint: str
    max_length: int
    alphabet_size: int
    alphabet: tuple[str, ...]
    labels: tuple[str, ...]

    def path(self, name: str) -> str:
        """The path of a file of the run."""
        return os.path.join(self.directory, name)


def check_output(directory: str, overwrite: bool) -> None:
    """Look whether a run may be written to a directory: a new one, or that of another run.

    Raises:
        DataError: it holds a complete run and is not to be overwritten, or files of another kind.
    """
    if os.path.exists(directory) and not os.path.isdir(directory):
        raise DataError(f"{directory}: not a directory")
    held = os.listdir(directory) if os.path.exists(directory) else []
    if RUN_FILE in held and not overwrite:
        raise DataError(
            f"{directory} already holds a run: choose another --output or give --overwrite"
        )
    if held and RUN_FILE not in held and _PARTIAL not in held:
        raise DataError(f"{directory} holds files that are not of a run: choose another --output")


def begin_run(directory: str, content: dict[str, Any]) -> None:
    """Remove what an earlier run left and write down what this one is; it is not complete yet.

    Raises:
        DataError: the directory cannot be made.
    """
    try:
        os.makedirs(directory, exist_ok=True)
    except OSError as error:
        raise DataError(f"{directory}: cannot be made: {error.strerror}") from error
    if os.path.exists(os.path.join(directory, RUN_FILE)):
        os.replace(os.path.join(directory, RUN_FILE), os.path.join(directory, _PARTIAL))
    for pattern in _REPLACEABLE:
        for path in glob.glob(os.path.join(glob.escape(directory), pattern)):
            shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)
    resume_run(directory, content)


def may_resume(directory: str, content: dict[str, Any], resume: str, overwrite: bool) -> bool:
    """Whether the run that `content` describes is to go on from what an unfinished one left.

    resume: auto, never or must.

    Raises:
        DataError: what is there was made with other options or from another dataset and is not to
            be overwritten, or there is nothing although it must.
    """
    path = unfinished_run_file(directory)
    found = os.path.exists(path) and os.path.isdir(os.path.join(directory, CHECKPOINTS))
    if resume == "must" and not found:
        raise DataError(f"{directory}: no unfinished run with a checkpoint, but --resume must")
    if resume == "never" or not found:
        return False
    with open(path, encoding="utf-8") as file:
        different = list(_differences(json.load(file), content))
    if different and overwrite and resume != "must":
        return False
    if different:
        raise DataError(
            f"{directory} holds an unfinished run with {'; '.join(different)}: give it the same "
            "again, or begin anew with --resume never"
        )
    return True


def other_versions(directory: str, content: dict[str, Any]) -> str | None:
    """What to say of a run that goes on in other versions than it had; None if in the same."""
    with open(unfinished_run_file(directory), encoding="utf-8") as file:
        held, wanted = json.load(file)["versions"], content["versions"]
    different = [
        f"{name} {held[name]}, now {wanted[name]}"
        for name in ("tensorflow", "keras")
        if held[name] != wanted[name]
    ]
    if not different:
        return None
    return (
        f"note: {directory} was begun with {'; '.join(different)}: it goes on, but may end with "
        "other bits than in one version"
    )


def _differences(held: dict[str, Any], wanted: dict[str, Any]) -> Iterator[str]:
    wanted = json.loads(json.dumps(wanted))  # Tuples are lists there.
    # The rate of each step follows from the number of all.
    not_free = {"epochs"} if wanted["options"]["schedule"] == "cosine" else set()
    for name, value in wanted["options"].items():
        if name not in _FREE_OPTIONS - not_free and held["options"][name] != value:
            flag = name.replace("_", "-")
            yield f"--{flag} {_as_flag(held['options'][name])}, now {_as_flag(value)}"
    old, new = held["dataset"]["fingerprint"], wanted["dataset"]["fingerprint"]
    if old != new:
        yield f"the dataset of fingerprint {old[:16]}…, now {new[:16]}…"


def _as_flag(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def resume_run(directory: str, content: dict[str, Any]) -> None:
    """Write down what the run is from now on; what it has done stays."""
    write_json(unfinished_run_file(directory), {"format_version": FORMAT_VERSION, **content})


def unfinished_run_file(directory: str) -> str:
    """The path of what `run.json` is to be, while the run is not complete."""
    return os.path.join(directory, _PARTIAL)


def complete_run(directory: str) -> None:
    """Say that every file of the run is there."""
    os.replace(unfinished_run_file(directory), os.path.join(directory, RUN_FILE))


def write_json(path: str, content: Any) -> None:
    """Write a JSON file whole or not at all."""
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def write_text(path: str, text: str) -> None:
    """Write a file whole or not at all."""
    with open(f"{path}.tmp", "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(f"{path}.tmp", path)


def read_run(directory: str) -> Run:
    """Read what a complete run says of itself.

    Raises:
        DataError: no complete run is there, or a newer version of charseq wrote it.
    """
    path = os.path.join(directory, RUN_FILE)
    if not os.path.exists(path):
        raise DataError(
            f"{directory} holds no {RUN_FILE}: not a run, or its training did not finish"
        )
    with open(path, encoding="utf-8") as file:
        content = json.load(file)
    if content["format_version"] > FORMAT_VERSION:
        raise DataError(
            f"{path}: got format version {content['format_version']}, expected at most "
            f"{FORMAT_VERSION}: the run was written by a newer version of charseq"
        )
    options, dataset = content["options"], content["dataset"]
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

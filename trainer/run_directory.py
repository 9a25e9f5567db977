"""The directory of a run: what it holds, and which file says that it is complete.

    checkpoints/  model.keras  saved_model/  logs/  metrics.json  metrics.csv
    evaluation-SPLIT.json  report.html  run.json

`run.json.partial` is written first and renamed to `run.json` last: where `run.json` is, the run is
complete. Every other file appears by a rename too, but `logs/`, which grow. A run that did not
finish goes on from its newest checkpoint.
"""

from __future__ import annotations

import errno
import fcntl
import glob
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from charseq.errors import DataError
from trainer.config import Config

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
# Options that change nothing of what a run ends with.
_FREE_OPTIONS = {"data", "output", "checkpoint_every", "keep", "resume", "overwrite"}
# Options that change no weight of the epochs that are done: a run may go on with others.
_FREE_WHILE_UNFINISHED = _FREE_OPTIONS | {"epochs", "early_stop"}
# What a file system says that cannot lock a directory; NFS says the first.
_NO_LOCKS = (errno.EBADF, errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


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


@contextmanager
def directory_lock(directory: str) -> Iterator[None]:
    """Make a directory, and keep other runs out of it for as long as the block lasts.

    On a file system without locks for directories nothing is kept out.

    Raises:
        DataError: another run is in it, or it cannot be made.
    """
    try:
        os.makedirs(directory, exist_ok=True)
    except OSError as error:
        raise DataError(f"{directory}: cannot be made: {error.strerror}") from error
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataError(
                f"{directory}: another run is writing there; let it end, or choose another --output"
            ) from None
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
        yield
    finally:
        os.close(descriptor)


def is_trained(config: Config, fingerprint: str) -> bool:
    """Whether `config.output` holds the run that is asked for, complete.

    fingerprint: of the dataset. An option is the same that was asked for then, or given now as
    what it was resolved to then.

    Raises:
        DataError: a complete run is there, but another one.
    """
    path = os.path.join(config.output, RUN_FILE)
    if not os.path.exists(path):
        return False
    with open(path, encoding="utf-8") as file:
        held = json.load(file)
    now, asked, resolved = config.to_json(), held.get("asked", {}), held["options"]
    # An option that came after the run was made had its default then.
    then = {**Config(data="", output="").to_json(), **resolved}
    then |= {name: asked[name] for name in asked if now[name] != resolved[name]}
    different = [
        *_different_options(then, now, _FREE_OPTIONS),
        *_different_datasets(held["dataset"]["fingerprint"], fingerprint),
    ]
    if different:
        raise DataError(
            f"{config.output} already holds a run, but not this one: {'; '.join(different)}. "
            "Choose another --output, or replace it with --overwrite"
        )
    return True


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
    # A run may have been killed while it wrote the first of its files.
    foreign = set(held) - {f"{_PARTIAL}.tmp"}
    if foreign and not foreign & {RUN_FILE, _PARTIAL}:
        raise DataError(f"{directory} holds files that are not of a run: choose another --output")


def begin_run(directory: str, content: dict[str, Any]) -> None:
    """Remove what an earlier run left and write down what this one is; it is not complete yet."""
    if os.path.exists(os.path.join(directory, RUN_FILE)):
        os.replace(os.path.join(directory, RUN_FILE), os.path.join(directory, _PARTIAL))
    for pattern in _REPLACEABLE:
        for path in glob.glob(os.path.join(glob.escape(directory), pattern)):
            shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)
    resume_run(directory, content)


def check_resumable(directory: str) -> None:
    """Look whether a directory holds a run to go on with.

    Raises:
        DataError: it does not.
    """
    if not _is_unfinished(directory):
        raise DataError(f"{directory}: no unfinished run with a checkpoint, but --resume must")


def _is_unfinished(directory: str) -> bool:
    checkpoints = os.path.isdir(os.path.join(directory, CHECKPOINTS))
    return checkpoints and os.path.exists(unfinished_run_file(directory))


def can_resume(directory: str, content: dict[str, Any], resume: str, overwrite: bool) -> bool:
    """Whether the run that `content` describes is to go on from what an unfinished one left.

    resume: auto, never or must.

    Raises:
        DataError: what is there was made with other options or from another dataset and is not to
            be overwritten.
    """
    if resume == "never" or not _is_unfinished(directory):
        return False
    with open(unfinished_run_file(directory), encoding="utf-8") as file:
        held = json.load(file)
    now = json.loads(json.dumps(content))  # Tuples are lists there.
    free = set(_FREE_WHILE_UNFINISHED)
    if now["options"]["schedule"] == "cosine":
        free.remove("epochs")  # The rate of each step follows from the number of all.
    different = [
        *_different_options(held["options"], now["options"], free),
        *_different_datasets(held["dataset"]["fingerprint"], now["dataset"]["fingerprint"]),
    ]
    if different and overwrite and resume != "must":
        return False
    if different:
        raise DataError(
            f"{directory} holds an unfinished run with {'; '.join(different)}: give it the same "
            "again, or begin anew with --resume never"
        )
    return True


def version_warning(directory: str, content: dict[str, Any]) -> str | None:
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


def _different_options(then: dict[str, Any], now: dict[str, Any], free: set[str]) -> Iterator[str]:
    for name, value in now.items():
        if name not in free and then[name] != value:
            yield f"--{name.replace('_', '-')} {_as_flag(then[name])}, now {_as_flag(value)}"


def _different_datasets(then: str, now: str) -> Iterator[str]:
    if then != now:
        yield f"the dataset of fingerprint {then[:16]}…, now {now[:16]}…"


def _as_flag(value: Any) -> str:
    if value is None or value == []:
        return "not given"
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

"""Which files of a directory a run wrote, by their exact names; all others are the user's."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress

from charseq.files import sync
from charseq.manifest import SPLITS
from charseq.models.runs import evaluation_file
from charseq.models.saved_model import CALIBRATION_FILE
from charseq.options_file import OPTIONS_FILE
from trainer.run_directory import (
    CHECKPOINTS,
    CSV_FILE,
    LOGS,
    METRICS_FILE,
    MODEL_CARD_FILE,
    MODEL_FILE,
    NGRAM_BASELINE_FILE,
    REPORT_FILE,
    SAVED_MODEL,
    SUSPICIOUS_FILE,
    UNFINISHED_MODEL,
    UNFINISHED_SAVED_MODEL,
    examples_file,
)

_WHOLE_FILES = (
    MODEL_FILE,
    METRICS_FILE,
    CSV_FILE,
    NGRAM_BASELINE_FILE,
    CALIBRATION_FILE,
    REPORT_FILE,
    SUSPICIOUS_FILE,
    MODEL_CARD_FILE,
    OPTIONS_FILE,
    *(name(split) for split in SPLITS for name in (evaluation_file, examples_file)),
)
# By directory, what a run writes there, relative to it.
_DIRECTORIES = {
    CHECKPOINTS: r"(best|step-\d{10,})\.npz(\.tmp)?",
    LOGS: r"(train|validation)/events\.out\.tfevents\.[^/]+",
    SAVED_MODEL: r"saved_model\.pb|fingerprint\.pb|assets/[^/]+"
    r"|variables/variables\.(index|data-\d{5}-of-\d{5})",
    UNFINISHED_SAVED_MODEL: r".+",
}
_RUN_FILE = re.compile(
    "|".join(
        [
            rf"({'|'.join(map(re.escape, _WHOLE_FILES))})(\.tmp)?",
            re.escape(UNFINISHED_MODEL),
            *(f"{re.escape(name)}/({files})" for name, files in _DIRECTORIES.items()),
        ]
    )
)


def list_run_files(directory: str) -> list[str]:
    """Return the files of a run, without its `run.json`, by their paths relative to `directory`."""
    if not os.path.isdir(directory):
        return []
    paths = [entry.path for entry in os.scandir(directory) if not entry.is_dir()]
    for name in _DIRECTORIES:
        paths += _walk(os.path.join(directory, name))
    names = (os.path.relpath(path, directory) for path in paths)
    return sorted(name for name in names if _RUN_FILE.fullmatch(name))


def remove_run_files(directory: str) -> None:
    """Remove the files of a run, but its `run.json`; a directory goes if it is empty then."""
    for path in list_run_files(directory):
        os.remove(os.path.join(directory, path))
    for name in _DIRECTORIES:
        remove_empty_directories(os.path.join(directory, name))


def move_run_files(source: str, target: str) -> None:
    """Move the files of a run, but its `run.json`, from one directory to another."""
    for path in list_run_files(source):
        destination = os.path.join(target, path)
        os.makedirs(os.path.dirname(destination), exist_ok=True)
        os.replace(os.path.join(source, path), destination)
    for name in _DIRECTORIES:
        remove_empty_directories(os.path.join(source, name))


def sync_directories(directory: str) -> None:
    """Wait until the names of a run's files are on the disk."""
    sync(directory)
    for name in _DIRECTORIES:
        for folder, _, _ in os.walk(os.path.join(directory, name)):
            sync(folder)


def sync_run_files(directory: str) -> None:
    """Wait until the files of a run, the growing `logs/` too, and their names are on the disk."""
    for path in list_run_files(directory):
        sync(os.path.join(directory, path))
    sync_directories(directory)


def move_directory(source: str, target: str) -> None:
    """Move a directory by a rename; into one that exists, and holds other files, file by file.

    Where directories cannot be renamed, as in a mounted bucket, files move one by one, too.
    """
    if not os.path.isdir(target):
        shutil.move(source, target)
        return
    for path in list(_walk(source)):
        destination = os.path.join(target, os.path.relpath(path, source))
        os.makedirs(os.path.dirname(destination), exist_ok=True)
        os.replace(path, destination)
    remove_empty_directories(source)


def remove_empty_directories(directory: str) -> None:
    """Remove the directories from `directory` down in which there is no file."""
    for folder, _, _ in os.walk(directory, topdown=False):
        with suppress(OSError):  # It holds a file, or it is a link to a directory.
            os.rmdir(folder)


def _walk(directory: str) -> Iterator[str]:
    """Yield the paths of all files below a directory; none if there is no such directory."""
    for folder, _, names in os.walk(directory):
        for name in names:
            yield os.path.join(folder, name)

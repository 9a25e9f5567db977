"""A new run in the directory of a complete one, which stays until the new one is whole.

The new run is written to `replacement/` below the old one. When it is whole it is moved:

1. Its `run.json.partial` is renamed to `run.json.next` of the directory.
2. The old run's files are removed, its `run.json` first: from here on no run is complete.
3. `run.json.next` is renamed to `run.json.moving`: from here on nothing is removed.
4. The new run's other files are moved, and `run.json.moving` becomes `run.json`.

Each step can be repeated. A training that finds one interrupted finishes it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from charseq.files import sync
from charseq.models.saved_model import RUN_FILE
from trainer.run_directory import resume_run, unfinished_run_file
from trainer.run_files import (
    move_run_files,
    remove_empty_directories,
    remove_run_files,
    sync_directories,
)

REPLACEMENT = "replacement"
NEXT = f"{RUN_FILE}.next"
MOVING = f"{RUN_FILE}.moving"


def replacement_directory(output: str) -> str:
    """Return the directory of the run that is to replace the one in `output`."""
    return os.path.join(output, REPLACEMENT)


def work_directory(output: str) -> str:
    """Return where a run is written until it is whole: beside a complete one, if there is one."""
    complete = os.path.exists(os.path.join(output, RUN_FILE))
    return replacement_directory(output) if complete else output


def begin_run(directory: str, content: Mapping[str, Any]) -> None:
    """Remove the files of an unfinished run and write the unfinished `run.json` of a new one."""
    os.makedirs(directory, exist_ok=True)
    remove_run_files(directory)
    resume_run(directory, content)


def is_replacement_interrupted(output: str) -> bool:
    """Return whether a whole new run was being moved into place when its process was killed."""
    return any(os.path.exists(os.path.join(output, name)) for name in (NEXT, MOVING))


def replace_run(output: str) -> None:
    """Move the run in `replacement/`, which is whole, into place."""
    new = replacement_directory(output)
    os.replace(unfinished_run_file(new), os.path.join(output, NEXT))
    sync(output)
    finish_replacement(output)


def finish_replacement(output: str) -> None:
    """Go on to move a whole new run into place."""
    new = replacement_directory(output)
    run, following, moving = (os.path.join(output, name) for name in (RUN_FILE, NEXT, MOVING))
    if os.path.exists(following):
        with suppress(FileNotFoundError):
            os.remove(run)
        remove_run_files(output)
        os.replace(following, moving)
        sync(output)
    move_run_files(new, output)
    remove_empty_directories(new)
    sync_directories(output)
    os.replace(moving, run)
    sync(output)

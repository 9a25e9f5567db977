"""Output that appears whole: files wait in a staging directory, then move, the manifest last."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import NamedTuple

from apache_beam.io.filesystems import FileSystems

from charseq.errors import DataError
from charseq.files import directory_lock
from charseq.manifest import (
    MANIFEST_FILE,
    PARITY_FILE,
    REJECTED_DIR,
    REPORT_FILE,
    SPLITS,
    TRANSFORM_DIR,
)
from pipeline.runtime.filesystems import (
    delete_files,
    is_local,
    list_tree,
    make_parent,
    remove_tree,
    write_text,
)

PREDICTIONS_FILE = "predictions.json"
_STAGING = ".staging"
# A store moves a file by copying it.
_CONCURRENT_MOVES = 8


@dataclass(frozen=True)
class Layout:
    """The files of a kind of output directory.

    kind: in messages, as "a dataset". manifest: the file that makes the directory complete.
    others: all other files, as globs relative to the directory.
    """

    kind: str
    manifest: str
    others: tuple[str, ...]


_REJECTED = f"{REJECTED_DIR}/part-*.jsonl"

DATASET = Layout(
    "a dataset",
    MANIFEST_FILE,
    (
        *(f"{split}/part-*-of-*.tfrecord*" for split in SPLITS),
        _REJECTED,
        PARITY_FILE,
        REPORT_FILE,
        f"{TRANSFORM_DIR}/**",
    ),
)
PREDICTIONS = Layout("predictions", PREDICTIONS_FILE, ("predictions/part-*-of-*.jsonl", _REJECTED))
_LAYOUTS = (DATASET, PREDICTIONS)


class StagedFile(NamedTuple):
    """A file in the staging directory, and its path in the output directory, with slashes."""

    staged_path: str
    name: str


def staging_dir(output: str) -> str:
    """Return the directory that holds the files of a run until all of them are written."""
    return str(FileSystems.join(output, _STAGING))


def output_lock(output: str) -> AbstractContextManager[object]:
    """Create a local output directory and keep other runs out of it while the block runs.

    A store cannot lock a directory: no run is kept out there.

    Raises:
        DataError: another run holds the lock, or the directory cannot be created.
    """
    return directory_lock(output) if is_local(output) else nullcontext()


def is_complete(layout: Layout, output: str) -> bool:
    """Return whether `output` holds a complete output of this kind."""
    return bool(FileSystems.exists(FileSystems.join(output, layout.manifest)))


def prepare_output(layout: Layout, output: str, overwrite: bool) -> None:
    """Prepare `output` for a run: remove what a killed run left, and start the staging directory.

    Raises:
        DataError: `output` holds a complete output and `overwrite` is false; or one of another
            kind, some of whose files have the same names.
    """
    for other in _LAYOUTS:
        if other != layout and is_complete(other, output):
            raise DataError(f"{output} already holds {other.kind}; choose another --output")
    complete = is_complete(layout, output)
    if complete and not overwrite:
        raise DataError(
            f"{output} already holds {layout.kind}; choose another --output, or replace it "
            "with --overwrite"
        )
    if not complete:
        _remove_others(layout, output)
    remove_staging(output)
    # A file, since a store has no directories: an output that cannot be written fails here.
    write_text(FileSystems.join(staging_dir(output), "started"), "")


def remove_staging(output: str) -> None:
    """Remove the staging directory, if there is one."""
    remove_tree(staging_dir(output))


def publish_staged(layout: Layout, output: str, stage: Callable[[], Sequence[StagedFile]]) -> None:
    """Move all staged files into place, the manifest last.

    A runner may call this again after it was cut short anywhere. So the list of files is written
    before the first one moves, and a later call goes on from that list instead of calling `stage`,
    which could no longer read what has moved.

    Args:
        layout: the kind of output.
        output: the output directory.
        stage: writes the files that are not yet staged, the manifest among them, and returns all
            staged files, the manifest last.
    """
    journal = FileSystems.join(staging_dir(output), "moves.json")
    if not FileSystems.exists(journal):
        unfinished = write_text(journal + ".partial", json.dumps(stage()))
        FileSystems.rename([unfinished], [journal])
    with FileSystems.open(journal) as file:
        staged = [StagedFile(*entry) for entry in json.load(file)]
    _withdraw_replaced(layout, output)
    _move_all(staged[:-1], output)
    _move_all(staged[-1:], output)


def _move_all(staged: Sequence[StagedFile], output: str) -> None:
    targets = [FileSystems.join(output, *file.name.split("/")) for file in staged]
    for target in targets:
        make_parent(target)
    with ThreadPoolExecutor(_CONCURRENT_MOVES) as pool:
        list(pool.map(move, [file.staged_path for file in staged], targets))


def move(staged_path: str, target: str) -> None:
    """Rename a staged file to `target`, unless an earlier call did.

    Raises:
        FileNotFoundError: neither of the two exists.
    """
    if not FileSystems.exists(staged_path):
        if FileSystems.exists(target):
            return
        raise FileNotFoundError(f"neither {staged_path} nor {target} is there")
    FileSystems.rename([staged_path], [target])


def _withdraw_replaced(layout: Layout, output: str) -> None:
    """Remove the output that is being replaced: its manifest first, by a rename.

    The renamed manifest marks a removal that has begun: a call that was cut short is followed by
    another, which sees the mark and removes the rest.
    """
    manifest = FileSystems.join(output, layout.manifest)
    successor = FileSystems.join(staging_dir(output), layout.manifest)
    marker = FileSystems.join(staging_dir(output), "replaced.json")
    if FileSystems.exists(manifest) and FileSystems.exists(successor):
        FileSystems.rename([manifest], [marker])
    if FileSystems.exists(marker):
        _remove_others(layout, output)
        delete_files([marker])


def _remove_others(layout: Layout, output: str) -> None:
    """Remove the files of such an output, except its manifest, and no other files."""
    if paths := [path for pattern in layout.others for path in _match_below(output, pattern)]:
        delete_files(paths)


def _match_below(output: str, pattern: str) -> list[str]:
    """Return the files in `output`, a name, that match a pattern of a layout.

    A pattern is a file name, or a directory and a pattern of the names in it; `**` are all files
    below it.
    """
    directory, slash, names = pattern.rpartition("/")
    if not slash:
        path = FileSystems.join(output, pattern)
        return [path] if FileSystems.exists(path) else []
    parent = FileSystems.join(output, directory)
    files = {path: path[len(parent) + 1 :] for path in list_tree(parent)}
    if names == "**":
        return list(files)
    return [path for path, name in files.items() if "/" not in name and fnmatchcase(name, names)]

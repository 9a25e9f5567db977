"""Publishing: the staged files of a run put in their places, and the manifest last.

Of several runs into one directory, one publishes, also on a disk without locks and in a store:

1. A run whose files are all staged writes a journal of what it is going to do. It creates that file
   exclusively: where there is one, another run is publishing, or was killed while it did.
2. Every step in the journal may be made again, by several processes at once. Whoever finds a
   journal makes them all, so that a run which was killed blocks nobody.
3. A journal holds the SHA-256 of the manifest that its run wants to replace. Where another one is
   there by then, that run lost: its journal is void.
"""

from __future__ import annotations

import json
import os
import socket
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any, NamedTuple

from apache_beam.io.filesystem import BeamIOError
from apache_beam.io.filesystems import FileSystems

from charseq.errors import DataError
from charseq.files import check_name, sync
from pipeline.output.layout import LAYOUTS, Layout
from pipeline.output.staging import Staging, find_runs, remove_runs, run_path, staging_path
from pipeline.runtime.exclusive import create_exclusively
from pipeline.runtime.filesystems import (
    delete_files,
    is_local,
    list_tree,
    make_parent,
    open_file,
    write_text,
)

JOURNAL_FILE = "moves.json"
_FORMAT_VERSION = 1
_PUBLISHED = "published"
_NOT_PUBLISHED = "nothing of this run was published"
# A store moves a file by copying it.
_CONCURRENT_MOVES = 8


class StagedFile(NamedTuple):
    """A file in the staging directory, and its path in the output directory, with slashes."""

    staged_path: str
    name: str


class StagedOutput(NamedTuple):
    """All files of an output but the manifest, staged, and the text of the manifest."""

    files: Sequence[StagedFile]
    manifest: str


@dataclass(frozen=True)
class Journal:
    """What it takes to publish the staged files of a run.

    run: its name. process: who began to publish, in words. manifest_file, manifest: the name and
    the text of the manifest. replaces: the SHA-256 of the manifest that is replaced, None if none
    is. moves: names in the staging directory of the run, and in the output directory. removes:
    files of the output that is replaced, which the new one does not have. others: runs that began
    before this one published, and cannot publish any more.
    """

    run: str
    process: str
    manifest_file: str
    manifest: str
    replaces: str | None
    moves: tuple[tuple[str, str], ...]
    removes: tuple[str, ...]
    others: tuple[str, ...]

    @property
    def layout(self) -> Layout:
        """The kind of output."""
        return next(layout for layout in LAYOUTS if layout.manifest == self.manifest_file)

    @property
    def digest(self) -> str:
        """The SHA-256 of the new manifest."""
        return sha256(self.manifest.encode("utf-8")).hexdigest()

    def to_text(self) -> str:
        """Return the text of the journal's file."""
        return json.dumps({"format_version": _FORMAT_VERSION, **asdict(self)}) + "\n"


def publish_staged(staging: Staging, stage: Callable[[], StagedOutput]) -> None:
    """Put all staged files in their places, the manifest last.

    A runner may call this again after it was cut short anywhere, and after it was done.

    Args:
        staging: the staging directory of the run.
        stage: writes the files that are not yet staged and returns all of them.

    Raises:
        DataError: another run published first; or a file that no run of ours wrote is in the way.
    """
    found = read_journal(staging.output)
    if (found is None or found.run != staging.run) and is_published(staging):
        return
    journal = found or _begin(staging, stage)
    is_valid = finish(staging.output, journal)
    if journal.run != staging.run:
        raise _lost(staging, journal.process)
    if not is_valid:
        raise _lost(staging, None)


def is_published(staging: Staging) -> bool:
    """Return whether the files of a run were published, whatever happened since."""
    return bool(FileSystems.exists(staging.path(_PUBLISHED)))


def _begin(staging: Staging, stage: Callable[[], StagedOutput]) -> Journal:
    """Write the journal of a run; return it, or that of the run that was first.

    Raises:
        DataError: as `publish_staged`.
    """
    _check_not_overtaken(staging)
    journal = _make_journal(staging, stage())
    unfinished = staging.path(f"{JOURNAL_FILE}.partial")
    if create_exclusively(_path(staging.output), journal.to_text(), unfinished):
        return journal
    if first := read_journal(staging.output):
        return first
    # It was there a moment ago.
    raise _lost(staging, None)


def _check_not_overtaken(staging: Staging) -> None:
    if staging.layout.digest(staging.output) != staging.replaces:
        raise _lost(staging, None)


def _lost(staging: Staging, process: str | None) -> DataError:
    layout = staging.layout
    winner = f"another run ({process})" if process else "another run"
    manifest = layout.digest(staging.output)
    which = f", whose {layout.manifest} has the SHA-256 {manifest[:16]}…" if manifest else ""
    return DataError(
        f"{staging.output}: {winner} published {layout.kind} there{which}, after this run had "
        f"begun; {_NOT_PUBLISHED}. Start it again to compare, or choose another --output"
    )


def explain_failure(staging: Staging, error: Exception) -> DataError | None:
    """Return why a run failed if another one published meanwhile, which removes its files.

    None if that is not the reason, or if `error` says so already.
    """
    if _NOT_PUBLISHED in str(error) or is_published(staging):
        return None
    if staging.layout.digest(staging.output) == staging.replaces:
        return None
    return _lost(staging, None)


def _make_journal(staging: Staging, staged: StagedOutput) -> Journal:
    """Return the journal of a run that is about to publish.

    Raises:
        DataError: a file that no run of ours wrote is in the way.
    """
    replaced = staging.layout.files(staging.output)
    names = {file.name for file in staged.files}
    _check_free(staging.output, names | {staging.layout.manifest}, replaced)
    begin = len(staging.directory) + 1
    return Journal(
        run=staging.run,
        process=f"process {os.getpid()} on {socket.gethostname()}, at "
        f"{time.strftime('%Y-%m-%d %H:%M:%S UTC', time.gmtime())}",
        manifest_file=staging.layout.manifest,
        manifest=staged.manifest,
        replaces=staging.replaces,
        moves=tuple((file.staged_path[begin:], file.name) for file in staged.files),
        removes=tuple(sorted(replaced - names)),
        others=tuple(run for run in find_runs(staging.output) if run != staging.run),
    )


def _check_free(output: str, names: Iterable[str], replaced: set[str]) -> None:
    """Check that each of the names is free, or that of a file that is replaced.

    Raises:
        DataError: it is not.
    """
    manifests = {layout.manifest for layout in LAYOUTS}
    taken = _find_taken(output, names) - replaced - manifests
    if taken:
        shown = ", ".join(map(repr, sorted(taken)[:5]))
        raise DataError(
            f"{output} has {shown}, which this run would replace, but no manifest there lists it: "
            "move it elsewhere, or choose another --output; nothing was published"
        )


def _find_taken(output: str, names: Iterable[str]) -> set[str]:
    """Return which of the names exist, and which directories of theirs are files."""
    if not is_local(output):
        begin = len(output.rstrip("/")) + 1
        return {path[begin:] for path in list_tree(output)} & set(names)
    directories = {parent for name in names for parent in _parents(name)}
    paths = {name: os.path.join(output, name) for name in (*names, *directories)}
    return {
        name
        for name, path in paths.items()
        if os.path.lexists(path) and not (name in directories and os.path.isdir(path))
    }


def _parents(name: str) -> list[str]:
    """Return the directories of a name: a and a/b of a/b/c."""
    parts = name.split("/")[:-1]
    return ["/".join(parts[: count + 1]) for count in range(len(parts))]


def read_journal(output: str) -> Journal | None:
    """Return the journal in an output directory; None where there is none.

    Raises:
        DataError: it is damaged, or of version 0.1.0.
    """
    path = _path(output)
    if not FileSystems.exists(path):
        return None
    try:
        with open_file(path) as file:
            content = json.loads(file.read())
        return _parse(content, path)
    except (ValueError, TypeError, KeyError, AttributeError, StopIteration) as error:
        raise DataError(
            f"{path}: no journal of this version ({error!r}): an earlier version, or a run on a "
            f"disk without links, was killed while it moved its files into place. Remove {output}, "
            "or choose another --output"
        ) from error
    except (OSError, BeamIOError):
        if FileSystems.exists(path):
            raise
        # Another run has finished it at this moment.
        return None


def _parse(content: Any, path: str) -> Journal:
    version = content.pop("format_version")
    if version > _FORMAT_VERSION:
        raise DataError(f"{path}: a newer version of charseq is publishing there")
    journal = Journal(
        **{
            **content,
            "moves": tuple((check_name(a, path), check_name(b, path)) for a, b in content["moves"]),
            "removes": tuple(check_name(name, path) for name in content["removes"]),
            "others": tuple(check_name(name, path) for name in content["others"]),
        }
    )
    check_name(journal.run, path)
    assert journal.layout
    return journal


def _path(output: str) -> str:
    return staging_path(output, JOURNAL_FILE)


def finish(output: str, journal: Journal) -> bool:
    """Make all steps of a journal, those that were made already again; return whether it is valid.

    Raises:
        DataError: a staged file has gone.
    """
    current = journal.layout.digest(output)
    if current not in (None, journal.replaces, journal.digest):
        delete_files([_path(output)])
        return False
    # Where the two are equal, files are replaced by equal ones: they may be damaged.
    if current != journal.digest or journal.replaces == journal.digest:
        _put_in_place(output, journal)
    remove_runs(output, [run for run in journal.others if run != journal.run])
    write_text(FileSystems.join(run_path(output, journal.run), _PUBLISHED), journal.process)
    delete_files([_path(output)])
    return True


def _put_in_place(output: str, journal: Journal) -> None:
    """Withdraw the output that is replaced, and move the new files to their places."""
    delete_files([journal.layout.manifest_path(output)])
    if is_local(output):
        sync(output)
    delete_files([FileSystems.join(output, name) for name in journal.removes])
    move_all(output, journal)
    if is_local(output):
        _remove_empty_directories(output, journal.removes)
        _sync_directories(output, [name for _, name in journal.moves])
    write_manifest(output, journal)


def move_all(output: str, journal: Journal) -> None:
    """Move the staged files to their places."""
    staged = [FileSystems.join(run_path(output, journal.run), name) for name, _ in journal.moves]
    targets = [FileSystems.join(output, *name.split("/")) for _, name in journal.moves]
    for target in targets:
        make_parent(target)
    with ThreadPoolExecutor(_CONCURRENT_MOVES) as pool:
        list(pool.map(move, staged, targets))


def move(staged_path: str, target: str) -> None:
    """Rename a staged file to `target`, unless another call did.

    Raises:
        DataError: neither of the two exists.
    """
    try:
        if FileSystems.exists(staged_path):
            FileSystems.rename([staged_path], [target])
            return
    except (OSError, BeamIOError):
        if FileSystems.exists(staged_path):
            raise
    if not FileSystems.exists(target):
        raise DataError(
            f"neither {staged_path} nor {target} is there: what a run was publishing is lost; "
            "remove the directory and start again"
        )


def _remove_empty_directories(output: str, removed: Iterable[str]) -> None:
    """Remove the directories that the removal of files has emptied."""
    emptied = {parent for name in removed for parent in _parents(name)}
    for directory in sorted(emptied, reverse=True):
        with suppress(OSError):
            os.rmdir(os.path.join(output, directory))


def _sync_directories(output: str, names: Iterable[str]) -> None:
    """Wait until the names of the moved files, and of their directories, are on the disk."""
    for directory in sorted({parent for name in names for parent in _parents(name)}):
        sync(os.path.join(output, directory))
    sync(output)
    # The output directory may be new. Its parent may belong to somebody else.
    with suppress(PermissionError):
        sync(os.path.dirname(os.path.abspath(output)))


def write_manifest(output: str, journal: Journal) -> None:
    """Write the manifest, which appears whole and durably.

    Several processes may do this at once, each by a temporary file of its own.
    """
    path = journal.layout.manifest_path(output)
    if not is_local(output):
        write_text(path, journal.manifest)
        return
    name = f"{journal.manifest_file}-{uuid.uuid4().hex}"
    unfinished = FileSystems.join(run_path(output, journal.run), name)
    FileSystems.rename([write_text(unfinished, journal.manifest)], [path])
    sync(output)

"""Output that appears whole: files wait in a staging directory, then move, the manifest last."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from apache_beam.io.filesystems import FileSystems

from charseq.errors import DataError
from pipeline.runtime.filesystems import create, is_local, make_parent, open_file, remove_tree
from pipeline.runtime.layouts import LAYOUTS, Layout

_STAGING = ".staging"
# A store moves a file by copying it.
_MOVES_AT_ONCE = 8
# What a file system says that cannot lock a directory; NFS says the first.
_NO_LOCKS = (errno.EBADF, errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)

# The staged path of a file, and its name in the output directory.
Move = tuple[str, str]


@dataclass(frozen=True)
class FileDigest:
    """A file of an output directory, by its path there."""

    path: str
    bytes: int
    sha256: str


def staging_dir(output: str) -> str:
    """Where a run keeps its files until they are whole."""
    return str(FileSystems.join(output, _STAGING))


@contextmanager
def directory_lock(output: str) -> Iterator[None]:
    """Make the directory `output`, and keep other runs out of it for as long as the block lasts.

    On a local file system; where it knows no locks, as on a store, nothing is kept out.

    Raises:
        DataError: another run is in it.
    """
    if not is_local(output):
        yield
        return
    os.makedirs(output, exist_ok=True)
    directory = os.open(output, os.O_RDONLY)
    try:
        try:
            # The directory itself is locked: a lock file would have to stay in the dataset.
            fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataError(
                f"{output}: another run is writing there; let it end, or choose another --output"
            ) from None
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
        yield
    finally:
        os.close(directory)


def is_complete(layout: Layout, output: str) -> bool:
    """Whether a directory holds such output, all of it."""
    return bool(FileSystems.exists(FileSystems.join(output, layout.manifest)))


def prepare_output(layout: Layout, output: str, overwrite: bool) -> None:
    """Make room for a run, and clear what a killed one left in the staging directory.

    Raises:
        DataError: the directory holds such output, and `--overwrite` was not given; or output of
            another kind, some of whose files have the names of these.
    """
    for other in LAYOUTS:
        if other != layout and is_complete(other, output):
            raise DataError(f"{output} already holds {other.what}; choose another --output")
    complete = is_complete(layout, output)
    if complete and not overwrite:
        raise DataError(
            f"{output} already holds {layout.what}; choose another --output, or replace it "
            "with --overwrite"
        )
    if not complete:
        _remove_others(layout, output)
    remove_staging(output)
    # More than a directory, which a store does not know: what cannot be written is told now.
    write_text(FileSystems.join(staging_dir(output), "started"), "")


def remove_staging(output: str) -> None:
    """Remove the staging directory, if there is one."""
    remove_tree(staging_dir(output))


def publish_staged(layout: Layout, output: str, stage: Callable[[], Sequence[Move]]) -> None:
    """Move everything into place, the manifest last.

    stage: writes what is not yet in the staging directory, the manifest there among it, and gives
    all moves, the manifest's last. They are written down before the first is made, so that a runner
    may call this again after it was cut short anywhere.
    """
    journal = FileSystems.join(staging_dir(output), "moves.json")
    if not FileSystems.exists(journal):
        written = write_text(journal + ".partial", json.dumps(stage()))
        FileSystems.rename([written], [journal])
    with FileSystems.open(journal) as file:
        planned = json.load(file)
    _withdraw_replaced(layout, output)
    *moves, manifest_move = [
        (staged, FileSystems.join(output, *name.split("/"))) for staged, name in planned
    ]
    for _, path in moves:
        make_parent(path)
    with ThreadPoolExecutor(_MOVES_AT_ONCE) as pool:
        list(pool.map(move, *zip(*moves, strict=True)))
    move(*manifest_move)


def _withdraw_replaced(layout: Layout, output: str) -> None:
    """Take away the output that is being replaced: its manifest first, by rename.

    The renamed manifest marks a withdrawal that has begun and must be finished.
    """
    manifest = FileSystems.join(output, layout.manifest)
    successor = FileSystems.join(staging_dir(output), layout.manifest)
    marker = FileSystems.join(staging_dir(output), "replaced.json")
    if FileSystems.exists(manifest) and FileSystems.exists(successor):
        FileSystems.rename([manifest], [marker])
    if FileSystems.exists(marker):
        _remove_others(layout, output)
        FileSystems.delete([marker])


def _remove_others(layout: Layout, output: str) -> None:
    """Remove the files that such output has, and no others, should there be any."""
    matches = FileSystems.match([FileSystems.join(output, *p.split("/")) for p in layout.others])
    if found := [file.path for match in matches for file in match.metadata_list]:
        FileSystems.delete(found)


def move(staged: str, path: str) -> None:
    """Rename, unless that was done before."""
    if not FileSystems.exists(staged):
        if FileSystems.exists(path):
            return
        raise FileNotFoundError(f"neither {staged} nor {path} is there")
    FileSystems.rename([staged], [path])


def write_text(path: str, text: str) -> str:
    """Write the file `path`, and return the path."""
    with create(path) as file:
        file.write(text.encode("utf-8"))
    return path


def digest(path: str, name: str) -> FileDigest:
    """Size and SHA-256 of the file `path`, which is called `name`."""
    with open_file(path) as file:
        data = file.read()
    return FileDigest(name, len(data), hashlib.sha256(data).hexdigest())

"""The dataset directory: files wait in a staging directory and appear by rename, manifest last."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import uuid
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from apache_beam.io.filesystems import FileSystems

from pipeline.counts import ReadCounts
from pipeline.errors import DataError
from pipeline.manifest import MANIFEST_FILE, FileDigest, Manifest, build_manifest, seal, to_text
from pipeline.options import SPLITS, Options
from pipeline.plan import Plan
from pipeline.rejects import RejectedFile
from pipeline.report import render_report
from pipeline.shards import ShardSummary
from pipeline.sources import Source
from pipeline.stores import (
    copy_tree,
    create,
    is_local,
    list_tree,
    make_parent,
    open_file,
    remove_tree,
)

_STAGING = ".staging"
_TRANSFORM = "transform"
# A store moves a file by copying it.
_MOVES_AT_ONCE = 8
# What a file system says that cannot lock a directory; NFS says the first.
_NO_LOCKS = (errno.EBADF, errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


def staging_dir(output: str) -> str:
    """Where a run keeps its files until they are whole."""
    return str(FileSystems.join(output, _STAGING))


def transform_dir(output: str) -> str:
    """Where a run writes the transform graph: never the same place twice.

    A worker that outlives a run keeps the graph it has loaded from a place.
    """
    return str(FileSystems.join(staging_dir(output), f"{_TRANSFORM}-{uuid.uuid4().hex}"))


@contextmanager
def sole_writer(output: str) -> Iterator[None]:
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


def is_complete(output: str) -> bool:
    """Whether a directory holds a dataset."""
    return bool(FileSystems.exists(FileSystems.join(output, MANIFEST_FILE)))


def prepare_output(output: str) -> None:
    """Make room for a run, and clear what a killed one left."""
    if not is_complete(output):
        _remove_dataset_files(output)
    remove_staging(output)
    # More than a directory, which a store does not know: what cannot be written is told now.
    _write(FileSystems.join(staging_dir(output), "started"), "")


def remove_staging(output: str) -> None:
    """Remove the staging directory, if there is one."""
    remove_tree(staging_dir(output))


def publish(
    options: Options,
    sources: Sequence[Source],
    transform: str,
    counts: ReadCounts,
    plan: Plan,
    shards: Sequence[ShardSummary],
    rejected_files: Sequence[RejectedFile],
) -> str:
    """Move everything into place, the manifest last; return the fingerprint.

    The moves are written down before the first is made, so that a runner may call this again
    after it was cut short anywhere.

    Raises:
        DataError: the counts do not add up.
    """
    journal = FileSystems.join(staging_dir(options.output), "moves.json")
    if not FileSystems.exists(journal):
        manifest = build_manifest(options, sources, counts, plan, shards, rejected_files)
        moves = _stage_the_rest(manifest, options, transform, counts, shards, rejected_files)
        plan_text = json.dumps({"fingerprint": manifest["fingerprint"], "moves": moves})
        written = _write(journal + ".partial", plan_text)
        FileSystems.rename([written], [journal])
    with FileSystems.open(journal) as file:
        planned = json.load(file)
    _withdraw_replaced(options.output)
    *moves, manifest_move = [
        (staged, FileSystems.join(options.output, *name.split("/")))
        for staged, name in planned["moves"]
    ]
    for _, path in moves:
        make_parent(path)
    with ThreadPoolExecutor(_MOVES_AT_ONCE) as pool:
        list(pool.map(_move, *zip(*moves, strict=True)))
    _move(*manifest_move)
    return str(planned["fingerprint"])


def _stage_the_rest(
    manifest: Manifest,
    options: Options,
    transform: str,
    counts: ReadCounts,
    shards: Sequence[ShardSummary],
    rejected_files: Sequence[RejectedFile],
) -> list[tuple[str, str]]:
    """Write what is not yet in the staging directory; (staged path, final name) of every file."""
    staging = staging_dir(options.output)
    others = {file.staged_path: file.file_name for file in rejected_files}
    others |= _transform_moves(transform, staging)
    for name, text in (
        ("parity.jsonl", _parity_lines(shards)),
        ("report.html", render_report(manifest, counts.lengths, shards, rejected_files)),
    ):
        others[_write(FileSystems.join(staging, name), text)] = name
    sealed = seal(manifest, [_digest(staged, name) for staged, name in sorted(others.items())])
    manifest_path = _write(FileSystems.join(staging, MANIFEST_FILE), to_text(sealed))
    return [
        *(
            (summary.staged_path, summary.shard.file_name(options.compression))
            for summary in shards
        ),
        *others.items(),
        (manifest_path, MANIFEST_FILE),
    ]


def _transform_moves(transform: str, staging: str) -> dict[str, str]:
    # A copy moves: a worker that the runner starts again still reads the graph where it was.
    staged = copy_tree(transform, FileSystems.join(staging, "transform_to_move"))
    return {path: _TRANSFORM + path[len(staged) :].replace("\\", "/") for path in list_tree(staged)}


def _parity_lines(shards: Iterable[ShardSummary]) -> str:
    rows = sorted(row for summary in shards for row in summary.parity)
    return "".join(json.dumps(row._asdict(), ensure_ascii=False) + "\n" for row in rows)


def _withdraw_replaced(output: str) -> None:
    """Take away the dataset that is being replaced: its manifest first, by rename.

    The renamed manifest marks a withdrawal that has begun and must be finished.
    """
    manifest = FileSystems.join(output, MANIFEST_FILE)
    successor = FileSystems.join(staging_dir(output), MANIFEST_FILE)
    marker = FileSystems.join(staging_dir(output), "replaced.json")
    if FileSystems.exists(manifest) and FileSystems.exists(successor):
        FileSystems.rename([manifest], [marker])
    if FileSystems.exists(marker):
        _remove_dataset_files(output)
        FileSystems.delete([marker])


def _remove_dataset_files(output: str) -> None:
    """Remove the files that a dataset has, and no others, should there be any."""
    patterns = [f"{split}/part-*-of-*.tfrecord*" for split in SPLITS]
    patterns += ["rejected/part-*.jsonl", "parity.jsonl", "report.html", f"{_TRANSFORM}/**"]
    matches = FileSystems.match([FileSystems.join(output, *p.split("/")) for p in patterns])
    if found := [file.path for match in matches for file in match.metadata_list]:
        FileSystems.delete(found)


def _move(staged: str, path: str) -> None:
    """Rename, unless that was done before."""
    if not FileSystems.exists(staged):
        if FileSystems.exists(path):
            return
        raise FileNotFoundError(f"neither {staged} nor {path} is there")
    FileSystems.rename([staged], [path])


def _write(path: str, text: str) -> str:
    with create(path) as file:
        file.write(text.encode("utf-8"))
    return path


def _digest(staged: str, name: str) -> FileDigest:
    with open_file(staged) as file:
        data = file.read()
    return FileDigest(name, len(data), hashlib.sha256(data).hexdigest())

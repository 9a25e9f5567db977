"""The dataset directory: files wait in a staging directory and appear by rename, manifest last."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence

from apache_beam.io.filesystem import CompressionTypes
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

_STAGING = ".staging"
_TRANSFORM = "transform"


def staging_dir(output: str) -> str:
    """Where a run keeps its files until they are whole."""
    return str(FileSystems.join(output, _STAGING))


def transform_dir(output: str) -> str:
    """Where a run writes the transform graph."""
    return str(FileSystems.join(staging_dir(output), _TRANSFORM))


def prepare_output(options: Options) -> None:
    """Make room for a run, and clear what a killed one left in the staging directory.

    Raises:
        DataError: the directory holds a dataset, and `--overwrite` was not given.
    """
    complete = FileSystems.exists(FileSystems.join(options.output, MANIFEST_FILE))
    if complete and not options.overwrite:
        raise DataError(
            f"{options.output} already holds a dataset; choose another --output, or replace it "
            "with --overwrite"
        )
    if not complete:
        _remove_dataset_files(options.output)
    remove_staging(options.output)
    FileSystems.mkdirs(staging_dir(options.output))


def remove_staging(output: str) -> None:
    """Remove the staging directory, if there is one."""
    _remove_tree(staging_dir(output))


def publish(
    options: Options,
    sources: Sequence[Source],
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
        moves = _stage_the_rest(manifest, options, counts, shards, rejected_files)
        plan_text = json.dumps({"fingerprint": manifest["fingerprint"], "moves": moves})
        written = _write(journal + ".partial", plan_text)
        FileSystems.rename([written], [journal])
    with FileSystems.open(journal) as file:
        planned = json.load(file)
    _withdraw_replaced(options.output)
    for staged, name in planned["moves"]:
        _move(staged, FileSystems.join(options.output, *name.split("/")))
    return str(planned["fingerprint"])


def _stage_the_rest(
    manifest: Manifest,
    options: Options,
    counts: ReadCounts,
    shards: Sequence[ShardSummary],
    rejected_files: Sequence[RejectedFile],
) -> list[tuple[str, str]]:
    """Write what is not yet in the staging directory; (staged path, final name) of every file."""
    staging = staging_dir(options.output)
    others = {file.staged_path: file.file_name for file in rejected_files}
    others |= _transform_moves(options.output)
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


def _transform_moves(output: str) -> dict[str, str]:
    # A copy moves: a worker that the runner starts again still reads the graph where it was.
    staged = copy_tree(
        transform_dir(output), FileSystems.join(staging_dir(output), "transform_to_move")
    )
    return {path: _TRANSFORM + path[len(staged) :].replace("\\", "/") for path in _files(staged)}


def copy_tree(source: str, target: str) -> str:
    """Copy each file below `source` to its place below `target`, and return `target`.

    Hidden ones are left out: TFT keeps its notes on a graph there.
    """
    for path in _files(source):
        place = path[len(source) :]
        if "/." not in place:
            _make_parent(target + place)
            FileSystems.copy([path], [target + place])
    return target


def _files(directory: str) -> list[str]:
    found = FileSystems.match([FileSystems.join(directory, "**")])[0].metadata_list
    return [file.path for file in found]


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
    _make_parent(path)
    FileSystems.rename([staged], [path])


def _make_parent(path: str) -> None:
    parent = FileSystems.split(path)[0]
    if not FileSystems.exists(parent):
        FileSystems.mkdirs(parent)


def _write(path: str, text: str) -> str:
    with FileSystems.create(path) as file:
        file.write(text.encode("utf-8"))
    return path


def _digest(staged: str, name: str) -> FileDigest:
    with FileSystems.open(staged, compression_type=CompressionTypes.UNCOMPRESSED) as file:
        data = file.read()
    return FileDigest(name, len(data), hashlib.sha256(data).hexdigest())


def _remove_tree(path: str) -> None:
    if FileSystems.get_scheme(path) is None:
        if FileSystems.exists(path):
            FileSystems.delete([path])
    elif found := FileSystems.match([FileSystems.join(path, "**")])[0].metadata_list:
        FileSystems.delete([file.path for file in found])

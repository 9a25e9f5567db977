"""The dataset directory: its last files written, and all of them moved into place."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Sequence

from apache_beam.io.filesystems import FileSystems

from pipeline.dataset.manifest import Manifest, build_manifest, read_manifest, seal, to_text
from pipeline.dataset.plan import Plan
from pipeline.dataset.report import render_report
from pipeline.dataset.shards import ShardSummary
from pipeline.options import Options
from pipeline.rows.counts import ReadCounts
from pipeline.rows.rejected_files import RejectedFile
from pipeline.rows.sources import Source
from pipeline.runtime.filesystems import copy_tree, digest_file, list_tree, write_text
from pipeline.runtime.staging import DATASET, StagedFile, publish_staged, staging_dir

_TRANSFORM = "transform"


def transform_dir(output: str) -> str:
    """Where a run writes the transform graph: never the same place twice.

    A worker that outlives a run keeps the graph it has loaded from a place.
    """
    return str(FileSystems.join(staging_dir(output), f"{_TRANSFORM}-{uuid.uuid4().hex}"))


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

    A runner may call this again after it was cut short anywhere.

    Raises:
        DataError: the counts do not add up.
    """

    def stage() -> list[StagedFile]:
        manifest = build_manifest(options, sources, counts, plan, shards, rejected_files)
        return _stage_the_rest(manifest, options, transform, counts, shards, rejected_files)

    publish_staged(DATASET, options.output, stage)
    return str(read_manifest(options.output)["fingerprint"])


def _stage_the_rest(
    manifest: Manifest,
    options: Options,
    transform: str,
    counts: ReadCounts,
    shards: Sequence[ShardSummary],
    rejected_files: Sequence[RejectedFile],
) -> list[StagedFile]:
    """Write what is not yet in the staging directory; return every file, the manifest last."""
    staging = staging_dir(options.output)
    others = {file.staged_path: file.file_name for file in rejected_files}
    others |= _transform_moves(transform, staging)
    for name, text in (
        ("parity.jsonl", _parity_lines(shards)),
        ("report.html", render_report(manifest, counts.lengths, shards, rejected_files)),
    ):
        others[write_text(FileSystems.join(staging, name), text)] = name
    sealed = seal(manifest, [digest_file(staged, name) for staged, name in sorted(others.items())])
    manifest_path = write_text(FileSystems.join(staging, DATASET.manifest), to_text(sealed))
    return [
        *(
            StagedFile(summary.staged_path, summary.shard.file_name(options.compression))
            for summary in shards
        ),
        *(StagedFile(path, name) for path, name in others.items()),
        StagedFile(manifest_path, DATASET.manifest),
    ]


def _transform_moves(transform: str, staging: str) -> dict[str, str]:
    # A copy moves: a worker that the runner starts again still reads the graph where it was.
    staged = copy_tree(transform, FileSystems.join(staging, "transform_to_move"))
    return {path: _TRANSFORM + path[len(staged) :].replace("\\", "/") for path in list_tree(staged)}


def _parity_lines(shards: Iterable[ShardSummary]) -> str:
    rows = sorted(row for summary in shards for row in summary.parity)
    return "".join(json.dumps(row._asdict(), ensure_ascii=False) + "\n" for row in rows)

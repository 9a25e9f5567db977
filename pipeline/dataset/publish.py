"""The dataset directory: its last files written, and all of them moved into place."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable

from charseq.manifest import (
    GROUP_INDEX_FILE,
    PARITY_FILE,
    REPORT_FILE,
    TRANSFORM_DIR,
    Manifest,
    index_path,
)
from charseq.options_file import OPTIONS_FILE
from pipeline.dataset.build_manifest import build_manifest
from pipeline.dataset.prepared import PreparedDataset
from pipeline.dataset.report import render_report
from pipeline.manifests.read import read_manifest
from pipeline.output.journal import StagedFile, StagedOutput, publish_staged
from pipeline.output.staging import Staging
from pipeline.rows.sources import check_unchanged
from pipeline.runtime.filesystems import copy_tree, digest_file, list_tree, write_text
from pipeline.shards.write import ShardSummary


def new_transform_dir(staging: Staging) -> str:
    """Return where a run writes the transform graph: a new place each time.

    A worker that outlives a run keeps the graph that it has loaded from a place.
    """
    return staging.path(f"{TRANSFORM_DIR}-{uuid.uuid4().hex}")


def publish(prepared: PreparedDataset) -> str:
    """Move all files into place, the manifest last; return the fingerprint.

    A runner may call this again after it was cut short anywhere.

    Raises:
        DataError: the counts do not add up, or an input file changed while it was read; another run
            published first, or a file of somebody else is in the way.
    """
    publish_staged(prepared.staging, lambda: stage_all_files(prepared))
    return read_manifest(prepared.options.output).fingerprint


def stage_all_files(prepared: PreparedDataset) -> StagedOutput:
    """Write the files that are not yet staged, and return all of them.

    Raises:
        DataError: the counts do not add up, or an input file changed while it was read.
    """
    check_unchanged(prepared.sources)
    manifest = build_manifest(prepared)
    staging = prepared.staging
    others = [
        *(StagedFile(file.staged_path, file.file_name) for file in prepared.rejected_files),
        *(
            StagedFile(shard.staged_index, index_path(shard.shard.file_name(manifest.compression)))
            for shard in prepared.shards
        ),
        *_stage_group_index(prepared),
        *_stage_transform(prepared.transform_dir, staging),
        _stage_text(staging, PARITY_FILE, to_parity_lines(prepared.shards)),
        _stage_text(staging, REPORT_FILE, _render(manifest, prepared)),
        _stage_text(staging, OPTIONS_FILE, prepared.options.to_toml()),
    ]
    digests = [
        digest_file(file.staged_path, file.name)
        for file in sorted(others, key=lambda file: file.name)
    ]
    sealed = manifest.sealed(tuple(digests))
    shards = [
        StagedFile(summary.staged_path, summary.shard.file_name(manifest.compression))
        for summary in prepared.shards
    ]
    return StagedOutput([*shards, *others], sealed.to_text())


def _render(manifest: Manifest, prepared: PreparedDataset) -> str:
    return render_report(
        manifest.to_json(), prepared.counts.lengths, prepared.shards, prepared.rejected_files
    )


def _stage_group_index(prepared: PreparedDataset) -> list[StagedFile]:
    if prepared.group_index is None:
        return []
    return [StagedFile(prepared.group_index, GROUP_INDEX_FILE)]


def _stage_text(staging: Staging, name: str, text: str) -> StagedFile:
    return StagedFile(write_text(staging.path(name), text), name)


def _stage_transform(transform_dir: str, staging: Staging) -> list[StagedFile]:
    """Stage a copy of the graph: a worker that the runner starts again still reads the original."""
    copy = copy_tree(transform_dir, staging.path("transform_to_move"))
    return [StagedFile(path, TRANSFORM_DIR + path[len(copy) :]) for path in list_tree(copy)]


def to_parity_lines(shards: Iterable[ShardSummary]) -> str:
    """Return the text of `parity.jsonl`: the rows of all shards in order, a JSON object each."""
    rows = sorted(row for summary in shards for row in summary.parity)
    return "".join(json.dumps(row._asdict(), ensure_ascii=False) + "\n" for row in rows)

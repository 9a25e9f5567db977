"""A dataset appears whole or not at all, wherever publishing is cut short."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from pipeline.dataset.plan import Plan
from pipeline.dataset.prepared import PreparedDataset
from pipeline.dataset.publish import new_transform_dir, publish
from pipeline.options import Options
from pipeline.output.layout import DATASET
from pipeline.output.staging import mark, new_staging, remove_runs
from pipeline.rows.counts import ReadCounts
from pipeline.rows.rejected_files import RejectedFile
from pipeline.shards.partition import Partition, PlannedShard
from pipeline.shards.write import ShardSummary
from pipeline.transform.saved_graph import Vocabulary
from tests.support.killed import Killed, kill_at_file_change

pytestmark = pytest.mark.unit

SHARDS = (PlannedShard("train", 0, 2), PlannedShard("train", 1, 2))


def stage(output: Path, content: str) -> PreparedDataset:
    """Stage the files of a run, as `publish` gets them."""
    options = Options(input=("in.csv",), output=str(output), split="train=1", overwrite=True)
    staging = new_staging(DATASET, str(output))
    mark(staging)
    for name in ("shard-0", "shard-1", "shard-0-index", "shard-1-index", "rejected-0"):
        Path(staging.path(name)).write_text(f"{content} {name}")
    transform = new_transform_dir(staging)
    graph = Path(transform, "transform_fn")
    graph.mkdir(parents=True)
    (graph / "saved_model.pb").write_text(content)
    partition = Partition(SHARDS, {})
    plan = Plan(options, partition, Vocabulary(("A",), ("x", "y")), 0, np.zeros(0, np.uint64))
    summaries = [
        ShardSummary(
            shard,
            staging.path(f"shard-{shard.index}"),
            staging.path(f"shard-{shard.index}-index"),
            records=1,
            bytes=5,
            sha256=content,
            duplicates=0,
            ambiguous=0,
            label_counts=(1,),
            label_weights=(),
            length_counts=(0, 1),
            id_counts=(0,) * 27,
            unknown_characters=Counter(),
            unknown_records=0,
            most_ambiguous=(),
            parity=(),
        )
        for shard in SHARDS
    ]
    rejected = [RejectedFile(0, staging.path("rejected-0"), Counter(empty_sequence=1), ())]
    counts = ReadCounts(usable=2, rejected=Counter(empty_sequence=1), lengths=Counter({1: 2}))
    return PreparedDataset(options, [], staging, transform, counts, plan, summaries, rejected)


def files(output: Path) -> dict[str, str]:
    return {
        str(path.relative_to(output)): path.read_text()
        for path in sorted(output.rglob("*"))
        if path.is_file() and ".staging" not in path.parts
    }


def without_manifest(found: dict[str, str]) -> dict[str, str]:
    """Return all but dataset.json; and of the report, which shows the output's path, its name."""
    return {
        name: "" if name == "report.html" else text
        for name, text in found.items()
        if name != "dataset.json"
    }


@pytest.mark.parametrize("replaced", [False, True])
def test_killed_at_any_step_and_called_again(tmp_path: Path, replaced: bool) -> None:
    whole = tmp_path / "whole"
    publish(stage(whole, "new"))
    expected = files(whole)
    assert list(expected) == [
        "dataset.json",
        "index/train/part-00000-of-00002.npy",
        "index/train/part-00001-of-00002.npy",
        "options.toml",
        "parity.jsonl",
        "rejected/part-00000.jsonl",
        "report.html",
        "train/part-00000-of-00002.tfrecord",
        "train/part-00001-of-00002.tfrecord",
        "transform/transform_fn/saved_model.pb",
    ]
    step, cut_short = 0, True
    while cut_short:
        output = tmp_path / f"{replaced}-{step}"
        before: dict[str, str] = {}
        if replaced:
            old = stage(output, "old")
            publish(old)
            remove_runs(str(output), [old.staging.run])
            before = files(output)
        prepared = stage(output, "new")
        with pytest.MonkeyPatch.context() as patch:
            kill_at_file_change(step, patch)
            try:
                publish(prepared)
                cut_short = False
            except Killed:
                pass
        found = files(output)
        if "dataset.json" in found and found != before:
            assert without_manifest(found) == without_manifest(expected)
            assert json.loads(found["dataset.json"])["shards"][0]["sha256"] == "new"
        publish(prepared)
        assert without_manifest(files(output)) == without_manifest(expected)
        step += 1
    assert step > 10

"""Two runs into one directory of a store, which has neither locks nor renames."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

from charseq.errors import DataError
from pipeline.output import journal
from pipeline.output.journal import StagedFile, StagedOutput, publish_staged, read_journal
from pipeline.output.layout import PREDICTIONS
from pipeline.output.staging import Staging, mark, new_staging
from pipeline.runtime.filesystems import write_text
from pipeline.runtime.s3 import share_client
from tests.support.stores import Bucket, s3_server

OUTPUT = "s3://bucket/out"
NAMES = ["a/1", "a/2", "b"]


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    with s3_server() as bucket:
        share_client()
        FileSystems.set_options(PipelineOptions(bucket.flags))
        yield bucket


def begin() -> Staging:
    staging = new_staging(PREDICTIONS, OUTPUT)
    mark(staging)
    return staging


def stage(staging: Staging, content: str) -> StagedOutput:
    manifest = json.dumps({"files": [{"path": name} for name in NAMES], "content": content})
    files = [
        StagedFile(write_text(staging.path(f"staged-{number}"), content), name)
        for number, name in enumerate(NAMES)
    ]
    return StagedOutput(files, manifest)


def contents(bucket: Bucket) -> set[str]:
    manifest = json.loads(bucket.get("out/predictions.json"))["content"]
    return {manifest, *(bucket.get(f"out/{name}").decode() for name in NAMES)}


def publish(staging: Staging, content: str) -> None:
    publish_staged(staging, lambda: stage(staging, content))


@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_run_that_meets_the_moves_of_another_finishes_them_and_loses(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, is_replaced: bool
) -> None:
    if is_replaced:
        publish(begin(), "old")
    one, other = begin(), begin()
    move = journal.move
    met: list[str] = []

    def meet(staged_path: str, target: str) -> None:
        if not met:
            met.append(target)
            with pytest.raises(DataError, match=r"another run \(process \d+ on .*\) published"):
                publish(other, "other")
        move(staged_path, target)

    monkeypatch.setattr(journal, "move", meet)
    publish(one, "one")
    assert met
    assert contents(bucket) == {"one"}
    assert read_journal(OUTPUT) is None


def test_a_run_that_is_overtaken_while_it_stages_loses(bucket: Bucket) -> None:
    one, other = begin(), begin()

    def stage_late() -> StagedOutput:
        staged = stage(one, "one")
        publish(other, "other")
        return staged

    with pytest.raises(DataError, match="nothing of this run was published"):
        publish_staged(one, stage_late)
    assert contents(bucket) == {"other"}
    # Not even as a journal that somebody would finish.
    assert read_journal(OUTPUT) is None


def test_a_run_that_was_killed_while_it_published_is_finished_by_the_next(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed, other = begin(), begin()
    with monkeypatch.context() as patch:
        patch.setattr(journal, "move_all", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            publish(killed, "killed")
    assert not FileSystems.exists(PREDICTIONS.manifest_path(OUTPUT))
    with pytest.raises(DataError, match="nothing of this run was published"):
        publish(other, "other")
    assert contents(bucket) == {"killed"}

"""A file that only one of several callers creates."""

from __future__ import annotations

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions
from google.api_core.exceptions import PreconditionFailed

from pipeline.runtime.exclusive import create_exclusively, create_gs_object
from pipeline.runtime.s3 import share_client
from tests.support.stores import s3_server

CALLERS = [f"caller {number}" for number in range(8)]


def created_by(path: str, temporary: Path) -> list[str]:
    """Return the callers that created a file, all starting at once."""
    with ThreadPoolExecutor(len(CALLERS)) as pool:
        created = pool.map(
            lambda caller: create_exclusively(path, caller, str(temporary / caller)), CALLERS
        )
        return [caller for caller, is_created in zip(CALLERS, created, strict=True) if is_created]


@pytest.mark.unit
@pytest.mark.parametrize("links", [True, False])
def test_of_all_callers_one_creates_a_file_on_a_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    if not links:
        monkeypatch.setattr(os, "link", refuse)
    (caller,) = created_by(str(tmp_path / "file"), tmp_path)
    assert (tmp_path / "file").read_text() == caller
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.unit
def test_a_link_whose_answer_was_lost_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As over NFS: the link is made, the repeated request fails."""
    link = os.link

    def link_twice(source: str, target: str) -> None:
        link(source, target)
        link(source, target)

    monkeypatch.setattr(os, "link", link_twice)
    assert create_exclusively(str(tmp_path / "file"), "text", str(tmp_path / "temporary"))
    assert not create_exclusively(str(tmp_path / "file"), "text", str(tmp_path / "temporary"))


def test_of_all_callers_one_creates_an_object_of_s3(tmp_path: Path) -> None:
    with s3_server() as bucket:
        share_client()
        FileSystems.set_options(PipelineOptions(bucket.flags))
        (caller,) = created_by("s3://bucket/object", tmp_path)
        assert bucket.get("object") == caller.encode()


@pytest.mark.unit
def test_an_object_of_google_is_created_under_the_condition_that_there_is_none() -> None:
    """By a stand-in: the emulator of the tests ignores conditions."""
    objects: dict[str, str] = {}

    class Blob:
        def __init__(self, name: str) -> None:
            self._name = name

        def upload_from_string(self, text: str, if_generation_match: int) -> None:
            assert if_generation_match == 0
            if self._name in objects:
                raise PreconditionFailed("conditionNotMet")
            objects[self._name] = text

    class Client:
        def bucket(self, name: str) -> Any:
            assert name == "bucket"
            return self

        def blob(self, name: str) -> Blob:
            return Blob(name)

    assert create_gs_object(Client(), "gs://bucket/some/object", "one")
    assert not create_gs_object(Client(), "gs://bucket/some/object", "other")
    assert objects == {"some/object": "one"}

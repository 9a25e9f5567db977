"""Shared by all tests: TensorFlow kept quiet, Hypothesis patient, markers, a bucket of gs://."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from tests.support.paths import ROOT

if TYPE_CHECKING:
    from google.cloud import storage

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# A busy machine is no failure; and CI asks whether a change is sound, so that it always draws the
# same examples. Runs elsewhere look for new ones.
settings.register_profile("charseq", settings(), deadline=None, derandomize="CI" in os.environ)
settings.load_profile("charseq")


# With several processes, each takes one file after the other: those of most seconds come first, so
# that no process is left alone with one of them.
LONGEST_FIRST = (
    "charseq/api/test_notebook.py",
    "charseq/api/test_end_to_end.py",
    "trainer/training/test_checkpoint.py",
    "trainer/training/test_loop.py",
    "trainer/data/test_files.py",
    "pipeline/dataset/test_prepare.py",
    "trainer/test_command.py",
    "test_idempotence.py",
    "pipeline/rows/test_hostile_input.py",
    "pipeline/runtime/test_filesystems.py",
    "trainer/model/test_network.py",
    "pipeline/predict/test_predict.py",
    "test_earlier_version.py",
    "trainer/promote/test_measurement.py",
    "pipeline/runtime/test_dataflow.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as integration what is not marked as unit; put the longest files first."""
    for item in items:
        if item.get_closest_marker("unit") is None:
            item.add_marker("integration")
        if item.path.relative_to(ROOT).parts[1] in ("deploy", "image"):
            item.add_marker("deploy")
    items.sort(key=_place_in_order)


def _place_in_order(item: pytest.Item) -> int:
    path = item.path.relative_to(ROOT / "tests").as_posix()
    return LONGEST_FIRST.index(path) if path in LONGEST_FIRST else len(LONGEST_FIRST)


@pytest.fixture
def gs(monkeypatch: pytest.MonkeyPatch) -> Iterator[storage.Bucket]:
    """An empty bucket of a gs:// emulator, for Beam too."""
    from apache_beam.internal.gcp import auth

    from tests.support.stores import gs_server

    # Beam would look for credentials for half a minute before it goes without.
    monkeypatch.setattr(auth._Credentials, "_credentials_init", True)
    with gs_server() as bucket:
        yield bucket

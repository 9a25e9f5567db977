"""Shared by all tests: TensorFlow kept quiet, Hypothesis patient, a bucket of gs://."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from google.cloud import storage

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# A busy machine is no failure.
settings.register_profile("charseq", settings(), deadline=None)
settings.load_profile("charseq")


@pytest.fixture
def gs(monkeypatch: pytest.MonkeyPatch) -> Iterator[storage.Bucket]:
    """An empty bucket of a gs:// emulator, for Beam too."""
    from apache_beam.internal.gcp import auth

    from tests.support.stores import gs_server

    # Beam would look for credentials for half a minute before it goes without.
    monkeypatch.setattr(auth._Credentials, "_credentials_init", True)
    with gs_server() as bucket:
        yield bucket

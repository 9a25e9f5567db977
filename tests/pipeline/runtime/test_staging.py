"""Who may write to an output directory."""

from __future__ import annotations

from pathlib import Path

import pytest

from charseq.errors import DataError
from pipeline.runtime.staging import output_lock

pytestmark = pytest.mark.unit


def test_a_local_directory_has_one_writer(tmp_path: Path) -> None:
    output = str(tmp_path / "new")
    with (
        output_lock(output),
        pytest.raises(DataError, match="new: another run is writing there; let it end"),
        output_lock(output),
    ):
        pass
    with output_lock(output):
        assert Path(output).is_dir()


def test_a_store_is_not_locked() -> None:
    with output_lock("s3://bucket/out"), output_lock("s3://bucket/out"):
        pass

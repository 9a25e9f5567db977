"""Who may write to an output directory, and which files are removed there."""

from __future__ import annotations

from pathlib import Path

import pytest

from charseq.errors import DataError
from pipeline.runtime.staging import DATASET, output_lock, prepare_output, remove_staging

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


def test_an_output_directory_is_a_name_not_a_pattern(tmp_path: Path) -> None:
    """`run[1]` as a pattern is `run1`: what lies there is another dataset."""
    neighbour, output = tmp_path / "run1", tmp_path / "run[1]"
    for directory in (neighbour, output):
        (directory / "train").mkdir(parents=True)
        (directory / "train" / "part-00000-of-00001.tfrecord").write_bytes(b"")
        (directory / "train" / "mine.txt").write_text("")
        (directory / "transform" / "deep").mkdir(parents=True)
        (directory / "transform" / "deep" / "graph.pb").write_bytes(b"")
        (directory / "report.html").write_text("")
    prepare_output(DATASET, str(output), overwrite=False)
    remove_staging(str(output))
    left = sorted(str(p.relative_to(output)) for p in output.rglob("*") if p.is_file())
    assert left == ["train/mine.txt"]
    assert len([p for p in neighbour.rglob("*") if p.is_file()]) == 4

"""Packed rows in files, and back."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.rows.spilling import Spill, Spilled, load, open_spill

pytestmark = pytest.mark.unit


def test_values_come_back_from_a_file_by_their_places(tmp_path: Path) -> None:
    kept = Spill(str(tmp_path)).put_all([(7, b"abc"), (3, b""), (7, b"de")])
    (file,) = map(str, tmp_path.iterdir())
    assert kept == [(7, Spilled(file, 0, 3)), (3, Spilled(file, 3, 0)), (7, Spilled(file, 3, 2))]
    assert [load(value) for _, value in kept] == [b"abc", b"", b"de"]


def test_each_call_writes_a_file_of_its_own(tmp_path: Path) -> None:
    spill = Spill(str(tmp_path))
    assert [load(kept) for kept in (spill.put(b"a"), spill.put(b"b"))] == [b"a", b"b"]
    assert len(list(tmp_path.iterdir())) == 2


def test_no_value_writes_no_file(tmp_path: Path) -> None:
    assert Spill(str(tmp_path)).put_all([]) == []
    assert not list(tmp_path.iterdir())


def test_without_a_directory_values_stay_in_memory() -> None:
    spill = Spill(None)
    assert spill.put_all([(1, b"abc")]) == [(1, b"abc")]
    assert load(spill.put(b"abc")) == b"abc"


@pytest.mark.parametrize(
    ("staging", "is_local_run", "where"),
    [
        ("/data/.staging/1", True, "/data/.staging/1"),
        ("/data/.staging/1", False, None),
        ("s3://bucket/.staging/1", False, None),
    ],
)
def test_a_run_on_this_machine_spills_to_its_own_directory(
    staging: str, is_local_run: bool, where: str | None
) -> None:
    with open_spill(staging, is_local_run) as spill:
        assert spill.directory == where


def test_a_run_that_writes_to_a_store_spills_to_a_temporary_directory() -> None:
    with open_spill("s3://bucket/.staging/1", is_local_run=True) as spill:
        assert load(spill.put(b"abc")) == b"abc"
        assert spill.directory is not None
        assert Path(spill.directory).is_dir()
    assert not Path(spill.directory).exists()

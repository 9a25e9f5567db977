"""A run removes and moves what a run wrote, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainer.run_files import (
    list_run_files,
    move_directory,
    move_run_files,
    remove_run_files,
    sync_run_files,
)

pytestmark = pytest.mark.unit

OURS = (
    "MODEL_CARD.md",
    "MODEL_CARD.md.tmp",
    "checkpoints/best.npz",
    "checkpoints/best.npz.tmp",
    "checkpoints/step-0000000012.npz",
    "evaluation-test.json",
    "evaluation-train.json.tmp",
    "examples-train.json",
    "examples-validation.json.tmp",
    "logs/train/events.out.tfevents.1764300000.host.7.0.v2",
    "metrics.csv",
    "metrics.json",
    "metrics.json.tmp",
    "model.keras",
    "model.tmp.keras",
    "ngram_baseline.npz",
    "ngram_baseline.npz.tmp",
    "report.html",
    "suspicious.jsonl",
    "saved_model/assets/dataset.json",
    "saved_model/saved_model.pb",
    "saved_model/variables/variables.data-00000-of-00001",
    "saved_model.tmp/variables/variables_temp/part-00000-of-00001.index",
)
MINE = (
    "MODEL_CARD_MINE.md",
    "checkpoints/step-0000000012 (copy).npz",
    "checkpoints/best-of-all.npz",
    "evaluation-mine.json",
    "examples-mine.json",
    "logs/train/notes.txt",
    "logs/mine/events.out.tfevents.1764300000.host.7.0.v2",
    "metrics.json.bak",
    "model_mine.keras",
    "report.html.old",
    "run.json",
    "saved_model/assets.extra/tf_serving_warmup_requests",
    "saved_model_backup/saved_model.pb",
)


def write_files(directory: Path, names: tuple[str, ...], text: str = "") -> None:
    for name in names:
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)


def files(directory: Path) -> list[str]:
    paths = directory.rglob("*")
    return sorted(str(path.relative_to(directory)) for path in paths if path.is_file())


def test_files_of_a_run_are_known_by_their_exact_names(tmp_path: Path) -> None:
    write_files(tmp_path, (*OURS, *MINE))
    assert list_run_files(str(tmp_path)) == sorted(OURS)


def test_only_what_a_run_wrote_is_removed(tmp_path: Path) -> None:
    write_files(tmp_path, (*OURS, *MINE))
    remove_run_files(str(tmp_path))
    assert files(tmp_path) == sorted(MINE)
    assert not (tmp_path / "saved_model.tmp").exists()


def test_only_what_a_run_wrote_is_moved(tmp_path: Path) -> None:
    write_files(tmp_path / "new", (*OURS, *MINE), "new")
    write_files(tmp_path / "old", MINE, "old")
    move_run_files(str(tmp_path / "new"), str(tmp_path / "old"))
    assert files(tmp_path / "new") == sorted(MINE)
    assert files(tmp_path / "old") == sorted((*OURS, *MINE))
    assert {(tmp_path / "old" / name).read_text() for name in MINE} == {"old"}


def test_checkpoints_on_another_disk_are_removed_through_the_link(tmp_path: Path) -> None:
    write_files(tmp_path / "disk", ("step-0000000012.npz", "other.npz"))
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "checkpoints").symlink_to(tmp_path / "disk")
    remove_run_files(str(tmp_path / "run"))
    assert files(tmp_path / "disk") == ["other.npz"]
    assert (tmp_path / "run" / "checkpoints").is_symlink()


def test_a_directory_moves_beside_the_files_that_are_there(tmp_path: Path) -> None:
    write_files(tmp_path / "new", ("saved_model.pb", "assets/a"), "new")
    write_files(tmp_path / "old", ("assets.extra/b",), "mine")
    move_directory(str(tmp_path / "new"), str(tmp_path / "old"))
    assert files(tmp_path) == ["old/assets.extra/b", "old/assets/a", "old/saved_model.pb"]


def test_all_files_and_names_of_a_run_are_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(tmp_path, (*OURS, *MINE))
    synced: list[str] = []
    monkeypatch.setattr("trainer.run_files.sync", synced.append)
    sync_run_files(str(tmp_path))
    folders = ("", "logs", "logs/train", "checkpoints", "saved_model/variables")
    expected = {*(tmp_path / name for name in OURS), *(tmp_path / name for name in folders)}
    assert expected <= set(map(Path, synced))

"""Who may write to an output directory, and what is removed there."""

from __future__ import annotations

import errno
import fcntl
from pathlib import Path

import pytest

from charseq.errors import DataError, UsageError
from pipeline.output.directory import check_inputs_outside, open_output, stage
from pipeline.output.layout import DATASET, PREDICTIONS, Layout
from pipeline.output.staging import mark, new_staging

pytestmark = pytest.mark.unit


def files_in(directory: Path) -> dict[str, str]:
    return {
        str(path.relative_to(directory)): path.read_text()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def test_a_local_directory_has_one_writer(tmp_path: Path) -> None:
    output = str(tmp_path / "new" / "out")
    with (
        open_output(DATASET, output),
        pytest.raises(DataError, match="new/out: another run is writing there; let it end"),
        open_output(DATASET, output),
    ):
        pass
    with open_output(DATASET, output):
        assert Path(output).is_dir()


@pytest.mark.parametrize("layout", [DATASET, PREDICTIONS])
@pytest.mark.parametrize(
    "name", ["transform/my_code.py", "report.html", "rejected/part-mine.jsonl", ".staging/mine"]
)
def test_a_directory_with_files_of_somebody_else_is_refused(
    tmp_path: Path, layout: Layout, name: str
) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    first = repr(name.split("/")[0])
    with (
        pytest.raises(DataError, match=f"is neither empty nor {layout.kind}: it holds {first}; ch"),
        open_output(layout, str(tmp_path)),
    ):
        pass
    assert files_in(tmp_path) == {name: "mine"}


def test_many_files_of_somebody_else_are_counted(tmp_path: Path) -> None:
    for number in range(1_008):
        (tmp_path / f"{number:04}\x1b[31m").touch()
    with (
        pytest.raises(DataError, match=r"it holds '0000\\x1b\[31m', .*, '0004.* and 1,003 more; "),
        open_output(DATASET, str(tmp_path)),
    ):
        pass


def test_what_the_system_puts_into_a_directory_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    (tmp_path / ".snapshot").mkdir()
    with open_output(DATASET, str(tmp_path)), stage(DATASET, str(tmp_path), overwrite=False):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == [".snapshot", "lost+found"]


@pytest.mark.parametrize(("there", "wanted"), [(PREDICTIONS, DATASET), (DATASET, PREDICTIONS)])
def test_other_output_is_never_replaced(tmp_path: Path, there: Layout, wanted: Layout) -> None:
    """Both have files in rejected/."""
    (tmp_path / "rejected").mkdir()
    for name in (there.manifest, "rejected/part-00000.jsonl"):
        (tmp_path / name).write_text("")
    with (
        pytest.raises(DataError, match=f"already holds {there.kind}; choose another --output"),
        open_output(wanted, str(tmp_path)),
    ):
        pass
    assert (tmp_path / "rejected" / "part-00000.jsonl").exists()


@pytest.mark.parametrize("text", ["{", '{"format_version": 1}', "[]"])
def test_a_manifest_that_is_none_of_ours_is_refused(tmp_path: Path, text: str) -> None:
    for layout in (DATASET, PREDICTIONS):
        output = tmp_path / layout.manifest
        output.mkdir()
        (output / layout.manifest).write_text(text)
        with (
            pytest.raises(DataError, match="only files that it lists are replaced: remove "),
            open_output(layout, str(output)),
            stage(layout, str(output), overwrite=True),
        ):
            pass
        assert files_in(output) == {layout.manifest: text}


def test_a_file_is_no_output_directory(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with (
        pytest.raises(DataError, match="out: is a file, expected a directory"),
        open_output(DATASET, str(tmp_path / "out")),
    ):
        pass


@pytest.mark.parametrize("has_locks", [True, False])
def test_files_of_killed_runs_are_removed_where_a_lock_proves_that_they_are_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_locks: bool
) -> None:
    killed = new_staging(DATASET, str(tmp_path))
    mark(killed)
    Path(killed.path("shard-1")).write_text("left")
    (tmp_path / ".staging" / "mine").write_text("mine")

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    if not has_locks:
        monkeypatch.setattr(fcntl, "flock", refuse)
    with open_output(DATASET, str(tmp_path)):
        assert Path(killed.directory).exists() is not has_locks
    assert (tmp_path / ".staging" / "mine").read_text() == "mine"


def test_the_lock_of_one_machine_proves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = new_staging(DATASET, str(tmp_path))
    mark(killed)
    monkeypatch.setattr("charseq.files._locks_this_machine_only", lambda _: True)
    with open_output(DATASET, str(tmp_path)):
        assert Path(killed.directory).exists()


def test_what_version_0_1_left_is_removed(tmp_path: Path) -> None:
    staging = tmp_path / ".staging"
    (staging / "transform-1").mkdir(parents=True)
    for name in ("started", "shard-1", "transform-1/saved_model.pb"):
        (staging / name).touch()
    with open_output(DATASET, str(tmp_path)):
        assert not staging.exists()


@pytest.mark.parametrize(
    ("output", "path"),
    [
        ("data", "data/transform/rows.csv"),
        ("data/", "./data/rows.csv"),
        (".", "data/rows.csv"),
        ("link", "data/rows.csv"),
        ("data", "link/rows.csv"),
        ("s3://bucket/data", "s3://bucket/data/rows.csv"),
        ("gs://bucket/data/", "gs://bucket/data/in/rows.csv"),
    ],
)
def test_an_input_in_the_output_directory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str, path: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to("data")
    with pytest.raises(UsageError, match=f"--input {path} lies in --output {output}, "):
        check_inputs_outside(output, ["/elsewhere.csv", path])


def test_an_input_beside_the_output_is_read(tmp_path: Path) -> None:
    check_inputs_outside(f"{tmp_path}/data/out", [f"{tmp_path}/data/a", f"{tmp_path}/data/out.csv"])
    check_inputs_outside("s3://bucket/out", ["s3://bucket/out.csv", "out/rows.csv"])

"""The wheel holds the whole project, and works where there is no checkout."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.support.paths import ROOT
from trainer.evaluate.report import write_report

PACKAGES = ("charseq", "pipeline", "trainer")
RUN = {
    "format_version": 1,
    "options": {"output": "runs/a", "representation": "embedding", "units": [8, 6]},
    "dataset": {"fingerprint": "ab" * 32, "max_length": 6, "alphabet": ["A"], "labels": ["x", "y"]},
    "versions": {"python": "3.11.7"},
}
EPOCH = {
    "number": 1,
    "train": {"loss": 1.5, "accuracy": 0.25},
    "validation": {"loss": 1.25, "accuracy": 0.5},
    "seconds": 40.0,
    "sequences_per_second": 1234.5,
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy: building leaves a directory of its own beside the sources."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, source / package, ignore=ignored)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--wheel-dir", str(folder), str(source)], check=True)
    (path,) = folder.glob("charseq-*.whl")
    return path


@pytest.fixture(scope="module")
def unpacked(wheel: Path) -> Path:
    """The directory that the wheel is unpacked in."""
    with ZipFile(wheel) as archive:
        archive.extractall(wheel.parent / "unpacked")
    return wheel.parent / "unpacked"


def files_in(root: Path) -> set[str]:
    """Return the paths of all files of the three packages below `root`."""
    return {
        path.relative_to(root).as_posix()
        for package in PACKAGES
        for path in (root / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_wheel_holds_every_module_and_template_of_the_project(unpacked: Path) -> None:
    files = files_in(unpacked)
    assert files == files_in(ROOT)
    assert "charseq/html/templates/base.html" in files
    assert "charseq/server/page/static/page.js" in files


def test_the_wheel_holds_nothing_but_the_project(unpacked: Path) -> None:
    names = {path.name.split(".")[0] for path in unpacked.iterdir()}
    assert names == {*PACKAGES, "charseq-0"}


def test_the_command_works_without_the_checkout(unpacked: Path, tmp_path: Path) -> None:
    (entry,) = unpacked.glob("charseq-*.dist-info/entry_points.txt")
    assert "charseq = charseq.command:main" in entry.read_text()
    # A module of the user's that has the name of ours.
    (tmp_path / "pipeline.py").write_text("raise SystemExit('of the user')")
    script = "import sys; sys.argv = ['charseq', 'sample', '--rows', '3', '--output', 'a.csv']\n"
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "charseq").write_text(
        f"{script}from charseq.command import main; sys.exit(main())"
    )
    subprocess.run(
        [sys.executable, "-S", "bin/charseq"],
        env={"PYTHONPATH": f"{unpacked}:{sysconfig.get_path('purelib')}"},
        cwd=tmp_path,
        check=True,
    )
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 4


def test_the_report_of_a_run_is_rendered_without_the_checkout(
    unpacked: Path, tmp_path: Path
) -> None:
    (tmp_path / "run.json").write_text(json.dumps(RUN))
    (tmp_path / "metrics.json").write_text(json.dumps({"epochs": [EPOCH]}))
    write_report(str(tmp_path))
    expected = (tmp_path / "report.html").read_text()
    (tmp_path / "report.html").unlink()
    script = """
import trainer
assert trainer.__file__.startswith(PLACE), trainer.__file__
from trainer.evaluate.report import write_report
write_report(".")
""".replace("PLACE", repr(str(unpacked)))
    # -S: without the .pth file through which this environment sees the checkout.
    subprocess.run(
        [sys.executable, "-S", "-c", script],
        env={"PYTHONPATH": f"{unpacked}:{sysconfig.get_path('purelib')}"},
        cwd=tmp_path,
        check=True,
    )
    assert (tmp_path / "report.html").read_text() == expected
    assert "<svg" in expected

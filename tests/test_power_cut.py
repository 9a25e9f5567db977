"""What is there after status 0 is on the disk: the power is cut right after a command has ended.

The disk is an ext4 file system in a file. A copy of that file is the disk as the machine finds it
when the power is back: without what was only in memory.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.__main__ import main as prepare
from pipeline.predict.__main__ import main as predict
from pipeline.sample import main as write_sample
from tests.support.toy_model import save_toy_model
from trainer.__main__ import main as train
from trainer.onnx.__main__ import main as export
from trainer.promote.__main__ import main as promote

pytestmark = [
    pytest.mark.crash,
    pytest.mark.skipif(
        os.geteuid() != 0 or shutil.which("mkfs.ext4") is None, reason="mounts a disk: needs root"
    ),
]

Command = Callable[[Sequence[str]], int]
# TensorBoard's events grow while a run runs.
GROWING = "logs"
SMALL = "--representation embedding --epochs 1 --units 4 --batch-size 64 --jit-compile off"


class Disk:
    """A mounted disk.

    Args:
        folder: for the file that is the disk, and its mount points.
    """

    def __init__(self, folder: Path) -> None:
        self._image = folder / "disk"
        self._copy = folder / "copy"
        self.directory = folder / "mounted"
        self.after = folder / "after"
        self.directory.mkdir()
        self.after.mkdir()
        with self._image.open("wb") as file:
            file.truncate(200 << 20)
        run("mkfs.ext4", "-q", str(self._image))

    def mount(self) -> None:
        """Mount the disk."""
        run("mount", "-o", "loop", str(self._image), str(self.directory))

    @contextmanager
    def power_cut(self) -> Iterator[Path]:
        """Yield the directory as it would be after a power cut at this moment."""
        run("cp", "--sparse=always", str(self._image), str(self._copy))
        run("mount", "-o", "loop", str(self._copy), str(self.after))
        try:
            yield self.after
        finally:
            run("umount", str(self.after))


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    disk = Disk(tmp_path)
    try:
        disk.mount()
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no loop device: {error.stderr!r}")
    yield disk
    run("umount", str(disk.directory))


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sample, a dataset and a run of it, and a model."""
    folder = tmp_path_factory.mktemp("inputs")
    assert write_sample(["--rows", "3000", "--output", str(folder / "sample.csv")]) == 0
    argv = ["--input", str(folder / "sample.csv"), "--output", str(folder / "dataset")]
    assert prepare(argv) == 0
    argv = ["--data", str(folder / "dataset"), "--output", str(folder / "run"), *SMALL.split()]
    assert train(argv) == 0
    save_toy_model(folder / "model")
    return folder


COMMANDS = [
    (prepare, "--input {}/sample.csv --output", "dataset.json"),
    (predict, "--model {}/model --input {}/sample.csv --output", "predictions.json"),
    (train, f"--data {{}}/dataset {SMALL} --output", "run.json"),
    (export, "--model {}/run --output", "model.onnx"),
    (promote, "--candidate {}/run --allow-trivial --registry", "models.config"),
]


@pytest.mark.parametrize(("main", "flags", "manifest"), COMMANDS)
def test_what_a_command_wrote_survives_a_power_cut(
    disk: Disk, inputs: Path, main: Command, flags: str, manifest: str
) -> None:
    output = disk.directory / "new" / "out"
    assert main([*flags.replace("{}", str(inputs)).split(), str(output)]) == 0
    with disk.power_cut() as after:
        found, expected = read(after / "new" / "out"), read(output)
    assert manifest in expected
    # A temporary file may be back: that its name was removed need not be on the disk.
    assert [name for name in expected if found.get(name) != expected[name]] == []


def read(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file() and GROWING not in path.parts
    }

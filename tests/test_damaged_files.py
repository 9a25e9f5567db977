"""A file that was cut off or changed ends a command in one line that names it."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.inspect import main as inspect
from pipeline.predict.__main__ import main as predict
from tests.support.paths import ROOT
from trainer.__main__ import main as train
from trainer.evaluate.__main__ import main as evaluate
from trainer.onnx.__main__ import main as export
from trainer.promote.__main__ import main as promote

ARCHIVE = ROOT / "tests" / "earlier" / "0.1.0.tar.gz"
TRAIN = (
    "--data dataset --representation embedding --units 3 --embedding-dim 2 --epochs 3 "
    "--batch-size 16 --output"
)
PREDICT = "--model run/saved_model --input rows.csv --output"
COMMANDS: dict[str, Callable[[], int]] = {
    "train": lambda: train([*TRAIN.split(), "run"]),
    "resume": lambda: train([*TRAIN.split(), "unfinished"]),
    "evaluate": lambda: evaluate(["--model", "run", "--data", "dataset"]),
    "first": lambda: promote(["--registry", "new", "--candidate", "run"]),
    "promote": lambda: promote(["--registry", "registry", "--candidate", "run"]),
    "roll back": lambda: promote(["--registry", "registry", "--rollback", "1"]),
    "explain": lambda: promote(["--registry", "registry", "--explain", "1"]),
    "predict": lambda: predict(
        ["--model", "run/saved_model", "--input", "rows.csv", "--output", "new"]
    ),
    "inspect": lambda: inspect(["dataset"]),
    "export": lambda: export(["--model", "run", "--data", "dataset", "--output", "new"]),
}
SMALL = b'{"format_version": 1}'


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("earlier")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.mark.parametrize(
    ("command", "name", "content"),
    [
        ("train", "run/run.json", None),
        ("train", "run/run.json", SMALL),
        ("train", "dataset/dataset.json", None),
        ("resume", "unfinished/run.json.partial", None),
        ("resume", "unfinished/run.json.partial", SMALL),
        ("resume", "dataset/parity.jsonl", None),
        ("resume", "dataset/transform/transform_fn/saved_model.pb", None),
        ("evaluate", "run/run.json", None),
        ("evaluate", "run/model.keras", None),
        ("export", "run/model.keras", None),
        ("export", "run/saved_model/assets/dataset.json", None),
        ("export", "run/saved_model/assets/dataset.json", SMALL),
        ("export", "dataset/parity.jsonl", None),
        ("evaluate", "run/model.keras", b""),
        ("evaluate", "run/metrics.json", None),
        ("evaluate", "run/metrics.json", SMALL),
        ("first", "run/run.json", SMALL),
        ("first", "run/saved_model/saved_model.pb", None),
        ("first", "run/saved_model/variables/variables.index", None),
        ("first", "run/saved_model/variables/variables.data-00000-of-00001", None),
        ("first", "run/saved_model/assets/run.json", None),
        ("first", "run/saved_model/assets/dataset.json", SMALL),
        ("promote", "registry/models.config", None),
        ("promote", "registry/models.config", b"\xff\xfe"),
        ("promote", "registry/1/assets.extra/entry.json", None),
        ("promote", "registry/1/assets.extra/entry.json", b'{"number": 1}'),
        ("roll back", "registry/1/assets.extra/entry.json", SMALL),
        ("explain", "registry/1/assets/run.json", None),
        ("predict", "run/saved_model/saved_model.pb", None),
        ("predict", "run/saved_model/variables/variables.index", None),
        ("inspect", "dataset/dataset.json", None),
    ],
)
def test_a_damaged_file_is_named_in_one_line(
    earlier: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
    name: str,
    content: bytes | None,
) -> None:
    """content: of the file; None: it is cut at its half."""
    monkeypatch.chdir(shutil.copytree(earlier, tmp_path / "files"))
    path = Path(name)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2] if content is None else content)
    assert COMMANDS[command]() == 1
    (line,) = capsys.readouterr().err.splitlines()
    model = path.parts.index("saved_model") + 1 if "saved_model" in path.parts else None
    assert line.startswith("error: ")
    assert name in line or (model and str(Path(*path.parts[:model])) in line), line
    assert len(line) < 1000


def test_without_its_model_a_run_is_named(
    earlier: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(shutil.copytree(earlier, tmp_path / "files"))
    Path("run/model.keras").unlink()
    assert COMMANDS["evaluate"]() == 1
    assert "run/model.keras: no such file, but a run has one" in capsys.readouterr().err

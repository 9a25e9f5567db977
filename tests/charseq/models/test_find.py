from __future__ import annotations

from pathlib import Path

import pytest

from charseq.errors import DataError
from charseq.models.find import find_saved_model

pytestmark = pytest.mark.unit


def make_model(path: Path) -> Path:
    (path / "assets").mkdir(parents=True)
    (path / "saved_model.pb").touch()
    (path / "assets" / "dataset.json").touch()
    return path


def write_pointer(registry: Path, number: int) -> None:
    text = f"# newest: 2\nmodel_version_policy {{ specific {{ versions: {number} }} }}\n"
    (registry / "models.config").write_text(text)


def test_a_run_and_a_saved_model_are_found(tmp_path: Path) -> None:
    model = str(make_model(tmp_path / "run" / "saved_model"))
    assert find_saved_model(str(tmp_path / "run")) == model
    assert find_saved_model(model) == model


def test_of_a_registry_it_is_the_current_version(tmp_path: Path) -> None:
    for number in (1, 2):
        make_model(tmp_path / str(number))
    write_pointer(tmp_path, 1)
    assert find_saved_model(str(tmp_path)) == str(tmp_path / "1")


def test_what_is_no_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="missing: no such directory"):
        find_saved_model(str(tmp_path / "missing"))
    with pytest.raises(DataError, match="not a run, a registry or a SavedModel: it holds no "):
        find_saved_model(str(tmp_path))
    with pytest.raises(DataError, match="s3://a/b: only a directory of this machine"):
        find_saved_model("s3://a/b")
    write_pointer(tmp_path, 0)
    with pytest.raises(DataError, match=r"models\.config: names no current model"):
        find_saved_model(str(tmp_path))
    write_pointer(tmp_path, 3)
    with pytest.raises(DataError, match=r"3 holds no saved_model\.pb: not a model that the tr"):
        find_saved_model(str(tmp_path))
    (make_model(tmp_path / "3") / "assets" / "dataset.json").unlink()
    with pytest.raises(DataError, match=r"3 holds no assets/dataset\.json"):
        find_saved_model(str(tmp_path))

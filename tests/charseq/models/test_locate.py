"""Which SavedModel a path stands for."""

from __future__ import annotations

from pathlib import Path

import pytest

from charseq.errors import DataError
from charseq.models.locate import Located, current_version, locate_model, served_name

pytestmark = pytest.mark.unit


def write_model(directory: Path) -> Path:
    (directory / "assets").mkdir(parents=True)
    for name in ("saved_model.pb", "assets/dataset.json"):
        (directory / name).touch()
    return directory


def locate(path: Path) -> Located:
    return locate_model(str(path))


def test_a_run_and_its_saved_model(tmp_path: Path) -> None:
    model = write_model(tmp_path / "saved_model")
    with pytest.raises(DataError, match=r"holds no run.json: its training did not finish$"):
        locate(tmp_path)
    (tmp_path / "run.json").touch()
    assert locate(tmp_path) == locate(model) == Located(str(model), str(tmp_path))


def test_a_run_that_has_no_model_yet(tmp_path: Path) -> None:
    (tmp_path / "run.json.partial").touch()
    with pytest.raises(DataError, match=r"its training did not finish$"):
        locate(tmp_path)


def test_the_current_version_of_a_registry_or_the_newest(tmp_path: Path) -> None:
    for number in (2, 9, 10):
        write_model(tmp_path / str(number))
    assert locate(tmp_path) == Located(str(tmp_path / "10"))
    pointer = tmp_path / "models.config"
    pointer.write_text("model_version_policy { specific { versions: 9 } }")
    assert locate(tmp_path) == Located(str(tmp_path / "9"))
    assert locate(tmp_path / "2") == Located(str(tmp_path / "2"))
    pointer.write_text("model_version_policy { specific { versions: 0 } }")
    with pytest.raises(DataError, match=r"models.config: names no current model$"):
        locate(tmp_path)
    pointer.write_text("model_version_policy { specific { versions: 3 } }")
    with pytest.raises(DataError, match=r"3 holds no saved_model.pb: not a model that the trainer"):
        locate(tmp_path)


def test_the_name_under_which_a_model_is_served(tmp_path: Path) -> None:
    pointer = tmp_path / "models.config"
    pointer.write_text('# name: "a"\nconfig {\n    name: "my words"\n    versions: 4\n}\n')
    assert (served_name(str(tmp_path)), current_version(str(tmp_path))) == ("my words", 4)
    pointer.write_text('name: "a"\nname: "b"\n')
    with pytest.raises(DataError, match=r"models.config: got 2 times 'name: "):
        served_name(str(tmp_path))
    pointer.unlink()
    with pytest.raises(DataError, match=r"holds no models.config: not a registry, or empty$"):
        served_name(str(tmp_path))


def test_what_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone: no such directory$"):
        locate(tmp_path / "gone")
    with pytest.raises(DataError, match=r"not a run, a registry or a SavedModel"):
        locate(tmp_path)
    (write_model(tmp_path / "other") / "assets" / "dataset.json").unlink()
    with pytest.raises(DataError, match=r"other holds no assets/dataset.json: not a model that"):
        locate(tmp_path / "other")

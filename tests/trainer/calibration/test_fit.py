from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from charseq.errors import DataError
from charseq.files import write_json
from charseq.models.calibration import Calibration, Sureness, read_calibration
from tests.support.datasets import toy_rows, write_dataset
from trainer.calibration.fit import calibrate, describe_calibration, fit_calibration
from trainer.calibration.scale import divide_scores
from trainer.settings import Settings
from trainer.training.build import exported_model

CALIBRATION = Calibration(
    3,
    1.5,
    Sureness(0.5, 0.25),
    Sureness(0.4, 0.125),
    {"lac": (0.1, 0.5, 0.6), "aps": (0.5, 0.9, 0.9)},
)


@pytest.mark.unit
def test_a_calibration_of_four_rows() -> None:
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.9, 0.1]], np.float32)
    calibration = fit_calibration(probabilities, np.array([0, 1, 0, 1]))
    assert calibration.rows == 4
    assert calibration.temperature > 1
    assert calibration.after.log_loss < calibration.before.log_loss
    assert calibration.before.log_loss == pytest.approx(0.7855, abs=1e-4)
    assert list(calibration.scores["lac"]) == sorted(calibration.scores["lac"])
    assert len(calibration.scores["aps"]) == 4


@pytest.mark.unit
def test_weights_count_in_the_temperature() -> None:
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1]], np.float32)
    labels = np.array([0, 1])
    right = fit_calibration(probabilities, labels, np.array([9.0, 1.0]))
    wrong = fit_calibration(probabilities, labels, np.array([1.0, 9.0]))
    assert right.temperature < wrong.temperature


@pytest.mark.unit
def test_what_is_said() -> None:
    assert describe_calibration(CALIBRATION) == (
        "calibrated on 3 validation rows: temperature 1.500, log loss 0.5000 to 0.4000, "
        "calibration error 0.2500 to 0.1250"
    )
    assert describe_calibration(None) == "not calibrated: the dataset has no validation row"


@pytest.mark.unit
def test_a_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_json(str(tmp_path / "calibration.json"), CALIBRATION.to_json())
    assert read_calibration(str(tmp_path)) == CALIBRATION
    assert read_calibration(str(tmp_path / "none")) is None


@pytest.mark.unit
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format_version": 2}, "got format version 2, expected 1: a newer version"),
        ({"scores": {"lac": [0.5]}}, "damaged, or not a calibration.json of a training: no 'aps'"),
        ({"before": 1}, "damaged.*got 1, expected an object"),
        ({"rows": 4}, "damaged.*lac: got 3 scores, expected 4"),
        ({"rows": float("inf")}, "damaged.*rows: got inf, expected int"),
        ({"temperature": float("nan")}, "damaged.*temperature: got nan, expected a finite number"),
        ({"temperature": 0}, "damaged.*temperature: got 0.0, expected more than 0"),
        ({"temperature": 10**400}, "damaged.*temperature: got 1000.*expected a finite number"),
        ({"after": {"log_loss": "x", "calibration_error": 0}}, "damaged.*log_loss: got 'x'"),
        (
            {"scores": {"lac": [0.5, 0.1, 0.6], "aps": [0, 0, 0]}},
            "damaged.*lac: got scores that are not ascending",
        ),
    ],
)
def test_a_file_of_another_form_is_refused(change, said, tmp_path: Path) -> None:
    content = json.dumps({**CALIBRATION.to_json(), **change})  # Unlike write_json with NaN.
    (tmp_path / "calibration.json").write_text(content)
    with pytest.raises(DataError, match=said):
        read_calibration(str(tmp_path))


def test_a_model_is_calibrated_on_its_validation_rows(tmp_path: Path) -> None:
    rows = {"train": toy_rows(9), "validation": toy_rows(7)}
    dataset = write_dataset(tmp_path / "data", rows)
    keras.utils.set_random_seed(0)
    model = exported_model(dataset.manifest, Settings(data=(), output="", units=(4,)))
    calibration = calibrate(model, "embedding", dataset)
    assert calibration is not None
    assert calibration.rows == 7

    ids = np.array([[1, 2, 0, 0, 0, 0, 0, 0, 0]])[:, : dataset.manifest.max_length]
    features = {"sequence": ids, "length": np.array([2])}
    before = np.log(np.asarray(model(features)))
    divide_scores(model, "embedding", 2.0)
    after = np.log(np.asarray(model(features)))
    assert np.diff(after) == pytest.approx(np.diff(before) / 2, abs=1e-6)


def test_without_validation_rows_there_is_no_calibration(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "data", {"train": toy_rows(9)})
    model = exported_model(dataset.manifest, Settings(data=(), output="", units=(4,)))
    assert calibrate(model, "embedding", replace(dataset)) is None

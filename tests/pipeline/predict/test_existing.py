"""Complete predictions are accepted for the same model, options and inputs, or refused by name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from charseq.errors import DataError
from charseq.files import FileDigest
from charseq.manifest import InputFile
from charseq.text.normalization import Normalization
from pipeline.predict.existing import check_existing_predictions
from pipeline.predict.model import Model
from pipeline.predict.options import PredictOptions
from tests.support.manifests import TRAIN

pytestmark = pytest.mark.unit

OPTIONS = PredictOptions(model="runs/1", input=("new/*.csv",), output="out")
FILES = (FileDigest("assets/dataset.json", 9, "aa"), FileDigest("saved_model.pb", 9, "bb"))
MODEL = Model("runs/1", "fp", 6, "AB", 3, ("x",), Normalization(True, False, True), FILES, TRAIN)
INPUT = InputFile("new/a.csv", 10, "sha256:aa")
# As the first version wrote it, without the options that came later.
SUMMARY: dict[str, Any] = {
    "counts": {"read": 200, "predicted": 198, "rejected": 2},
    "model": {
        "path": "runs/1",
        "files": [{"path": file.path, "bytes": 9, "sha256": file.sha256} for file in FILES],
    },
    "inputs": [{"path": "new/a.csv", "bytes": 10, "identity": "sha256:aa"}],
    "options": {"format": "auto", "sequence_column": "sequence", "output": "out"},
}


def refusal(
    summary: dict[str, Any] = SUMMARY,
    model: Model = MODEL,
    options: PredictOptions = OPTIONS,
    inputs: tuple[InputFile, ...] = (INPUT,),
) -> str:
    try:
        check_existing_predictions(summary, model, options, inputs)
    except DataError as error:
        return str(error)
    return ""


def test_the_same_model_options_and_inputs() -> None:
    assert refusal() == ""
    assert refusal(options=replace(OPTIONS, input=("./new/a.csv",), trust_model=True)) == ""
    # A copy of the model is the same model.
    assert refusal(model=replace(MODEL, directory="models/7")) == ""


def test_what_differs_is_named() -> None:
    other = replace(MODEL, directory="runs/2", files=(FILES[0], replace(FILES[1], sha256="cc")))
    assert refusal(model=other) == (
        "out already holds predictions, but not these: the model runs/1, now runs/2, which differs "
        "in saved_model.pb. Choose another --output, or replace them with --overwrite"
    )
    assert "these: --sequence-column sequence, now text. Choose" in refusal(
        options=replace(OPTIONS, sequence_column="text")
    )
    assert "these: 2 of 200 rows are rejected, now --max-rejected-fraction 0.005. Ch" in refusal(
        options=replace(OPTIONS, max_rejected_fraction=0.005)
    )
    assert "these: new/a.csv has changed; new/b.csv is new. Choose" in refusal(
        inputs=(replace(INPUT, bytes=11), replace(INPUT, path="new/b.csv"))
    )


@pytest.mark.parametrize("key", ["model", "counts", "inputs", "options"])
def test_damaged_predictions_are_one_sentence(key: str) -> None:
    damaged = {name: value for name, value in SUMMARY.items() if name != key}
    assert refusal(damaged).startswith("out/predictions.json: not a list of predictions: ")

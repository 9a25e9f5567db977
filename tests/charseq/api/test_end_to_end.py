"""From rows in memory to answers, through the real commands."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest

import charseq
from tests.support.datasets import toy_rows


def test_from_rows_to_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = toy_rows(240)
    frame = pd.DataFrame(rows, columns=["text", "kind"])
    settings = dict(os.environ)
    columns = {"sequence_column": "text", "label_column": "kind"}
    data = charseq.prepare(frame, tmp_path / "data", max_length=6, alphabet_size="auto", **columns)
    assert data.counts["read"] == 240
    assert data.alphabet == "".join(sorted("ABC?", key=data.alphabet.index))
    assert "240 rows read in" in capsys.readouterr().out

    again = charseq.prepare(frame, tmp_path / "data", max_length=6, alphabet_size="auto", **columns)
    assert again.manifest == data.manifest
    assert "nothing to do" in capsys.readouterr().out
    with pytest.raises(charseq.DataError, match=r"already holds a dataset, but not this one"):
        charseq.prepare(rows, tmp_path / "data", max_length=6)
    capsys.readouterr()

    model = charseq.train(
        data,
        tmp_path / "run",
        representation="embedding",
        units=[8, 8],
        epochs=2,
        learning_rate=0.02,
        batch_size=8,
    )
    assert "epoch 2/2: loss" in capsys.readouterr().out
    assert "[8, 8]" in model._repr_html_()
    test = data.to_pandas("test")
    predictions = model.predict(test["sequence"])
    accuracy = float((predictions.labels == test["label"]).mean())
    figures = model.evaluate(data)
    assert figures["accuracy"] == pytest.approx(accuracy)
    assert figures["rows"] == len(test) == data.counts["test"]
    assert Path(figures.path) == tmp_path / "run" / "evaluation-test.json"
    # TFT's legacy Keras, threads and log levels stay in the processes.
    assert dict(os.environ) == settings

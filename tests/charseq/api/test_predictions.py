"""Predictions, explanations and figures, as text and as HTML."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from charseq import EvaluationFigures, Explanations, Predictions

pytestmark = pytest.mark.unit

SCORES = {"accuracy": 0.5, "macro_f1": 0.25, "loss": 1.5}


def test_predictions() -> None:
    count = 12
    predictions = Predictions(
        ("<i>\u200b", *"B" * (count - 1)),
        np.array(["<x>", *["y"] * (count - 1)], object),
        np.full(count, 0.75, np.float32),
        np.full((count, 2), 0.5, np.float32),
    )
    assert len(predictions) == 12
    assert repr(predictions) == (
        "<charseq.Predictions of 12 sequences: '<x>' 75%, 'y' 75%, 'y' 75%, …>"
    )
    page = predictions._repr_html_()
    assert "&lt;i&gt;" in page
    assert "ZERO WIDTH SPACE" in page
    assert "<x>" not in page
    assert page.count("0.7500") == 10
    assert "and 2 more" in page


def test_explanations() -> None:
    explanations = Explanations(
        ("A<", "B"),
        np.array(["<x>", "y"], object),
        np.array([-0.5, -0.25], np.float32),
        np.array([[1.0, -2.0], [0.0, 0.0]], np.float32),
        np.array([2, 1]),
    )
    assert repr(explanations) == "<charseq.Explanations of 2 sequences>"
    page = explanations._repr_html_()
    # By the largest influence of a row, of which 0.6 is opaque.
    assert 'title="1.000 nats" style="background: rgba(47,111,208,0.3)"' in page
    assert 'title="-2.000 nats" style="background: rgba(204,59,59,0.6)"' in page
    assert 'title="0.000 nats" style="background: rgba(204,59,59,0.0)"' in page
    assert "&lt;x&gt;" in page
    assert page.count("nats") == 3


def test_figures(tmp_path: Path) -> None:
    content = {
        "split": "test",
        "rows": 1200,
        **SCORES,
        "top3_accuracy": 0.75,
        "calibration_error": 0.125,
        "ngram_baseline": {**SCORES, "accuracy": 0.625},
        "baseline": None,
        "trivial": None,
        "not_better": "accuracy 0.5, <that> of n-grams 0.625",
    }
    path = tmp_path / "evaluation-test.json"
    path.write_text(json.dumps(content))
    figures = EvaluationFigures(str(path), "r/report.html")
    assert figures["rows"] == 1200
    assert dict(figures) == content
    assert repr(figures) == (
        "<charseq.EvaluationFigures on test, 1,200 rows: accuracy 0.5000, top3_accuracy 0.7500, "
        "macro_f1 0.2500, loss 1.5000, calibration_error 0.1250>"
    )
    page = figures._repr_html_()
    assert "test, 1,200 rows" in page
    assert "0.6250" in page
    assert "&lt;that&gt;" in page
    assert "most frequent label" not in page

"""`report.html` of an evaluation that batch prediction wrote."""

from __future__ import annotations

import os
from pathlib import Path

from charseq.errors import DataError
from charseq.files import damage_as_data_error, read_json_object, write_text
from charseq.html import render
from charseq.measures.metrics import EVALUATION_FILE, Evaluation
from charseq.measures.reliability import RELIABILITY_BINS
from trainer.evaluate.report import describe_headline, describe_split
from trainer.run_directory import REPORT_FILE

_LEFT_OUT = ("without_label", "unseen_rows", "unseen_labels")


def write_predictions_report(directory: str) -> str:
    """Write the page for the `evaluation.json` in a directory of predictions; return its address.

    Raises:
        DataError: there is none, it is damaged, or no row had a label of the model.
    """
    path = os.path.join(directory, EVALUATION_FILE)
    if not os.path.exists(path):
        raise DataError(
            f"{directory} holds no {EVALUATION_FILE}: it is written by "
            "python -m pipeline.predict --label-column"
        )
    content = read_json_object(path)
    if "rows" not in content:
        raise DataError(f"{path}: no row had a label of the model")
    with damage_as_data_error(path, "an evaluation of this version"):
        evaluation = Evaluation.from_json(content)
        left_out = {
            name: content[name] for name in ("without_label", "unseen_rows", "unseen_labels")
        }
    longest = max(score.length for score in evaluation.lengths)
    page = render(
        "predictions.html",
        directory=directory,
        one=evaluation,
        headline=describe_headline(evaluation),
        left_out=left_out,
        split=describe_split(evaluation, longest),
        num_reliability_bins=RELIABILITY_BINS,
    )
    report = os.path.join(directory, REPORT_FILE)
    write_text(report, page)
    return Path(report).absolute().as_uri()

"""How good a model is, as `evaluation-SPLIT.json` says."""

from __future__ import annotations

from typing import Any

from charseq.files import read_json_object

_COMPARED = {"accuracy": "accuracy", "macro_f1": "macro F1", "loss": "loss"}
_SHOWN = ("rows", "accuracy", "top3_accuracy", "macro_f1", "loss", "calibration_error")


class EvaluationFigures(dict[str, Any]):
    """The figures of an evaluation by name: a dict with the content of `evaluation-SPLIT.json`.

    `accuracy`, `top3_accuracy`, `macro_f1`, `loss` and `calibration_error` are numbers; `labels`
    lists `label`, `support`, `precision`, `recall` and `f1` of each label; `baseline` and
    `ngram_baseline` hold figures of simpler models on the same rows. `split` and `rows` say on
    what it was measured.

    path: of the file. report: of the page that shows all of it.
    """

    def __init__(self, path: str, report: str) -> None:
        super().__init__(read_json_object(path))
        self.path, self.report = path, report

    def __repr__(self) -> str:
        figures = ", ".join(f"{name} {self[name]:.4f}" for name in _SHOWN[1:])
        return f"<charseq.EvaluationFigures on {self['split']}, {self['rows']:,} rows: {figures}>"

    def _repr_html_(self) -> str:
        from charseq.html import render

        compared = {
            "model": self,
            "n-gram baseline": self.get("ngram_baseline"),
            "most frequent label": self.get("baseline"),
        }
        return render(
            "notebook_evaluation.html",
            split=self["split"],
            rows=self["rows"],
            names=_COMPARED,
            compared={name: scores for name, scores in compared.items() if scores},
            warnings=[text for name in ("trivial", "not_better") if (text := self.get(name))],
            report=self.report,
        )

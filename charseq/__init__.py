"""charseq in Python: prepare rows, train on them and ask the model, in a notebook or a script.

    import charseq

    data = charseq.prepare([("ACDEFGHIKL", "alpha"), …], "data/mine", max_length="auto")
    model = charseq.train(data, "runs/first")
    model.predict(["ACDEFGHIKL"]).labels

Importing it takes milliseconds: each name is looked up when it is used first.

The package is also what the preparation and the training share: formats, files, commands and pages.
`pipeline` and `trainer` import it; it imports neither of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from charseq.api.dataset import Dataset, open_dataset
    from charseq.api.evaluation import EvaluationFigures
    from charseq.api.model import Model, load_model
    from charseq.api.predictions import Explanations, Predictions
    from charseq.api.preparation import prepare
    from charseq.api.training import train
    from charseq.errors import DataError, MismatchError, UsageError

__all__ = [
    "DataError",
    "Dataset",
    "EvaluationFigures",
    "Explanations",
    "MismatchError",
    "Model",
    "Predictions",
    "UsageError",
    "load_model",
    "open_dataset",
    "prepare",
    "train",
]

_MODULES = {
    "charseq.api.dataset": ("Dataset", "open_dataset"),
    "charseq.api.evaluation": ("EvaluationFigures",),
    "charseq.api.model": ("Model", "load_model"),
    "charseq.api.predictions": ("Explanations", "Predictions"),
    "charseq.api.preparation": ("prepare",),
    "charseq.api.training": ("train",),
    "charseq.errors": ("DataError", "MismatchError", "UsageError"),
}


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            value = globals()[name] = getattr(import_module(module), name)
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

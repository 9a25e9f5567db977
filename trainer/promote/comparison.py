"""A candidate compared with the current model of a registry, on the same rows."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from charseq.cli import heavy_imports
from charseq.text.normalization import Normalization
from trainer.addresses import is_address
from trainer.data.dataset import Dataset
from trainer.promote.lineage import read_model_dataset
from trainer.promote.options import METRICS, PromotionRules, Scores

if TYPE_CHECKING:
    from charseq.metrics import Evaluation

SPLIT = "test"
# Options of a preparation that decide which rows are in which split, with the length of records.
_SPLIT_OPTIONS = ("seed", "split")


@dataclass(frozen=True)
class Comparison:
    """Two models measured on the same rows; `previous` is None for the first of a registry.

    data, fingerprint: the dataset that they were measured on. trivial: why the candidate is no
    better than the label shares alone; None if it is better.
    """

    data: str
    fingerprint: str
    candidate: Scores
    previous: Scores | None
    trivial: str | None = None

    def format(self, metric: str, previous: str) -> str:
        """Return the scores that decide; `previous` is the path of the previous model."""
        text = f"{metric} {self.candidate[metric]:.6f}"
        if self.previous:
            text += f", {previous} has {self.previous[metric]:.6f}"
        return text


def is_better(candidate: Scores, current: Scores | None, rules: PromotionRules) -> bool:
    """Return whether a candidate is better than the current model by more than `min_improvement`.

    The first model of a registry is better than none.
    """
    if current is None:
        return True
    gain = candidate[rules.metric] - current[rules.metric]
    return (gain if METRICS[rules.metric] else -gain) > rules.min_improvement


def compare(
    candidate: str, previous: str | None, dataset: Dataset, trust_model: bool
) -> Comparison:
    """Measure two SavedModels on a dataset, and print their scores.

    Args:
        candidate: the path of a model.
        previous: the path of the other; None: there is none.
        dataset: what they are measured on.
        trust_model: load a model even if it does more than compute.

    Raises:
        DataError: a model cannot be measured on the dataset.
    """
    with heavy_imports():
        import trainer.promote.measurement  # noqa: F401
    evaluation = _evaluate(candidate, dataset, trust_model)
    current = None if previous is None else _evaluate(previous, dataset, trust_model)
    return Comparison(
        data=_absolute(dataset.directory),
        fingerprint=dataset.manifest.fingerprint,
        candidate=_scores(evaluation),
        previous=None if current is None else _scores(current),
        trivial=evaluation.trivial,
    )


def _absolute(directory: str) -> str:
    return directory if is_address(directory) else os.path.abspath(directory)


def _scores(evaluation: Evaluation) -> Scores:
    """Return the metrics that may decide, and the rows they were measured on."""
    return {"rows": evaluation.rows, **{name: getattr(evaluation, name) for name in METRICS}}


def _evaluate(saved_model: str, dataset: Dataset, trust_model: bool) -> Evaluation:
    """Measure a SavedModel; print its scores and what limits their comparability."""
    from trainer.promote.measurement import measure

    evaluation = measure(saved_model, dataset, SPLIT, trust_model)
    text = ", ".join(f"{name} {getattr(evaluation, name):.4f}" for name in METRICS)
    print(f"{saved_model} on {evaluation.rows:,} rows of {SPLIT} of {dataset.directory}: {text}")
    trained_on = read_model_dataset(saved_model)
    measured_on = json.loads(dataset.manifest_bytes)
    for warning in comparability_warnings(trained_on, measured_on):
        print(f"note: {saved_model} {warning}")
    return evaluation


def comparability_warnings(
    trained_on: Mapping[str, Any], measured_on: Mapping[str, Any]
) -> list[str]:
    """Return what limits the comparability of a model's scores on a dataset, a phrase each.

    Args:
        trained_on: the `dataset.json` that the model was trained on; datasets of earlier versions
            have no `options`.
        measured_on: the `dataset.json` that it is measured on.
    """
    alphabet = set(measured_on["alphabet"])
    lost = [character for character in trained_on["alphabet"] if character not in alphabet]
    longest, length = trained_on["max_length"], measured_on["max_length"]
    then, now = trained_on.get("options", {}), measured_on.get("options", {})
    warnings = []
    if lost:
        warnings.append(f"knows {len(lost)} characters that the records have as unknown")
    if longest > length:
        warnings.append(f"reads {longest} characters, but the records hold {length}")
    if longest != length or any(then.get(name) != now.get(name) for name in _SPLIT_OPTIONS):
        warnings.append(
            "was trained on a dataset of another --seed, --split or --max-length, and may have "
            "seen rows of this split"
        )
    if Normalization.from_options(then) != Normalization.from_options(now):
        warnings.append(
            "was trained on a dataset of another --normalize, --lowercase or --strip: the records "
            "hold other text than it knows, or it may have seen rows of this split"
        )
    return warnings

"""A candidate compared with the current model of a registry, on the same rows."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from charseq.cli import heavy_imports
from charseq.console.messages import name_first
from charseq.errors import DataError
from charseq.examples import WEIGHT
from charseq.stores.addresses import is_address
from charseq.text.normalization import Normalization
from trainer.data.dataset import CHOSE_EPOCH, Dataset
from trainer.promote.lineage import read_model_dataset
from trainer.promote.options import METRICS, WEIGHTED_METRICS, PromotionRules, Scores

if TYPE_CHECKING:
    from charseq.measures.metrics import Evaluation

# Options of a preparation with which a row's split does not follow from its sequence.
_GIVEN_SPLITS = ("split_column", "train_input")
# Options of a preparation that decide which rows are in which split, with the length of records.
_SPLIT_OPTIONS = ("seed", "split")
_TOP = 3
# Metrics that one row changes by 1 / rows.
_SHARES_OF_ROWS = ("accuracy", "top3_accuracy")


@dataclass(frozen=True)
class Comparison:
    """Two models measured on the same rows; `previous` is None for the first of a registry.

    data, fingerprint, split: what they were measured on. trivial: why the candidate is no
    better than the label shares alone; None if it is better. lost_labels: those that only the
    previous model gives. new_labels: those that only the candidate gives, if there is another.
    previous_trained_on: on how many of the rows the previous model was trained; None if there is
    none, or it cannot be known. excluded: the rows of the dataset that were left out, as in
    `run.json`.
    """

    data: str
    fingerprint: str
    split: str
    candidate: Scores
    previous: Scores | None
    trivial: str | None = None
    lost_labels: tuple[str, ...] = ()
    new_labels: tuple[str, ...] = ()
    previous_trained_on: int | None = None
    excluded: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the comparison as `entry.json` holds it."""
        content = asdict(self)
        if self.excluded is None:
            del content["excluded"]
        return content

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
    candidate: str, previous: str | None, dataset: Dataset, rules: PromotionRules
) -> Comparison:
    """Measure two SavedModels on a dataset, and print their scores and labels.

    Args:
        candidate: the path of a model.
        previous: the path of the other; None: there is none.
        dataset: what they are measured on.
        rules: what decides afterwards.

    Raises:
        DataError: a model cannot be measured on the dataset, or the metric tells none from another.
    """
    labels = _labels_of(candidate)
    previous_labels = labels if previous is None else _labels_of(previous)
    split = dataset.manifest.split_to_measure
    if rules.metric in WEIGHTED_METRICS and WEIGHT not in dataset.manifest.feature_spec:
        raise DataError(
            f"--metric {rules.metric}: {dataset.directory} has no weights: it was prepared without "
            "--weight-column"
        )
    check_can_decide(rules, [labels, previous_labels], dataset.manifest.records(split), split)
    with heavy_imports():
        import trainer.promote.measurement  # noqa: F401
    measured = dataset.manifest.labels
    print(f"measured on {len(measured):,} labels: {name_first(measured)}")
    if split == "validation":
        print(
            f"note: {dataset.directory} has no test row: measured on validation rows, {CHOSE_EPOCH}"
        )
    evaluation = _evaluate(candidate, dataset, split, rules.trust_model)
    current = None if previous is None else _evaluate(previous, dataset, split, rules.trust_model)
    new = tuple(label for label in labels if label not in previous_labels)
    if new:
        print(f"note: {candidate} gives labels that {previous} does not know: {name_first(new)}")
    return Comparison(
        data=", ".join(_absolute(part.directory) for part in dataset.parts),
        fingerprint=dataset.manifest.fingerprint,
        split=split,
        candidate=scores_of(evaluation),
        previous=None if current is None else scores_of(current),
        trivial=evaluation.trivial,
        lost_labels=tuple(label for label in previous_labels if label not in labels),
        new_labels=new,
        previous_trained_on=None if previous is None else _trained_on(previous, dataset, split),
        excluded=dataset.excluded.to_json() if dataset.excluded else None,
    )


def _trained_on(saved_model: str, dataset: Dataset, split: str) -> int | None:
    """Return on how many rows of a split a model was trained, and print it."""
    from trainer.promote.overlap import count_trained_on

    rows = dataset.manifest.records(split)
    try:
        count = count_trained_on(saved_model, dataset, split)
    except (DataError, OSError) as error:
        print(
            f"note: it is not known on how many of the {rows:,} rows of {split} {saved_model} was "
            f"trained: {error}"
        )
        return None
    print(
        f"{saved_model} was trained on the sequences of {count:,} of the {rows:,} rows of {split}"
    )
    return count


def _labels_of(saved_model: str) -> tuple[str, ...]:
    return tuple(read_model_dataset(saved_model)["labels"])


def check_can_decide(
    rules: PromotionRules, labels: Iterable[Collection[str]], rows: int, split: str
) -> None:
    """Check that the metric can tell two models apart.

    Args:
        rules: the metric, and by how much it must be better.
        labels: of each model.
        rows: of the split that they are measured on.
        split: its name.

    Raises:
        DataError: it cannot.
    """
    fewest = min(map(len, labels))
    if rules.metric == "top3_accuracy" and fewest <= _TOP:
        raise DataError(
            f"--metric top3_accuracy: a model of {fewest} labels is always right with three "
            "guesses, so that it tells no models apart; choose another metric"
        )
    if rules.metric in _SHARES_OF_ROWS and 0 < rules.min_improvement * rows < 1:
        raise DataError(
            f"--min-improvement {rules.min_improvement:g}: one row of the {rows:,} of {split} is "
            f"{1 / rows:.2g} of {rules.metric}: it asks for no more than 0 does; give more, or "
            "measure on more rows"
        )


def _absolute(directory: str) -> str:
    return directory if is_address(directory) else os.path.abspath(directory)


def scores_of(evaluation: Evaluation) -> Scores:
    """Return the rows that a model was measured on, and the metrics that may decide."""
    scores = {name: getattr(evaluation, name) for name in METRICS if name not in WEIGHTED_METRICS}
    by_weight = evaluation.weighted
    if by_weight is not None:
        scores |= {name: getattr(by_weight, field) for name, field in WEIGHTED_METRICS.items()}
    return {"rows": evaluation.rows, **scores}


def _evaluate(saved_model: str, dataset: Dataset, split: str, trust_model: bool) -> Evaluation:
    """Measure a SavedModel; print its scores and what limits their comparability."""
    from trainer.promote.measurement import measure

    evaluation = measure(saved_model, dataset, split, trust_model)
    scores = scores_of(evaluation)
    text = ", ".join(f"{name} {scores[name]:.4f}" for name in METRICS if name in scores)
    print(f"{saved_model} on {evaluation.rows:,} rows of {split} of {dataset.directory}: {text}")
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
    is_other = trained_on.get("fingerprint") != measured_on.get("fingerprint")
    is_given = any(options.get(name) for options in (then, now) for name in _GIVEN_SPLITS)
    if longest != length or any(then.get(name) != now.get(name) for name in _SPLIT_OPTIONS):
        warnings.append(
            "was trained on a dataset of another --seed, --split or --max-length, and may have "
            "seen rows of this split"
        )
    elif is_given and is_other:
        warnings.append(
            "was trained on another dataset, and where --train-input or --split-column gives the "
            "splits, it may have seen rows of this split"
        )
    if Normalization.from_options(then) != Normalization.from_options(now):
        warnings.append(
            "was trained on a dataset of another --normalize, --lowercase or --strip: the records "
            "hold other text than it knows, or it may have seen rows of this split"
        )
    return warnings

"""The metrics of a model on the rows to predict that have a label."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from charseq.measures.metrics import MetricsAccumulator
from pipeline.predict.model import Model

_SPLIT = "predictions"
_MAX_NAMED = 20
# Beyond, the least frequent are no longer told apart.
_MAX_COUNTED = 10_000

Ints = npt.NDArray[np.int64]


@dataclass
class LabelledRows:
    """Rows that are compared with their labels.

    metrics: of rows with a label that the model has. without_label: rows without one. unseen: rows
    of each label that the model does not have.
    """

    metrics: MetricsAccumulator
    without_label: int = 0
    unseen: Counter[str] = field(default_factory=Counter)


def no_rows(model: Model) -> LabelledRows:
    """Return the counts of no rows."""
    return LabelledRows(MetricsAccumulator(len(model.labels), model.max_length, model.train_counts))


def find_label_ids(label: pa.StringArray, model: Model, counts: LabelledRows) -> Ints:
    """Return the id of each label, (n,) int64: -1 for none and for one that the model has not.

    Those are counted.
    """
    ids = pc.index_in(label, value_set=pa.array(model.labels, pa.string())).fill_null(-1)
    known: Ints = ids.to_numpy(zero_copy_only=False).astype(np.int64)
    others = label.filter(pa.array(known < 0))
    for value in pc.value_counts(others).to_pylist():
        if value["values"] == "":
            counts.without_label += value["counts"]
        else:
            counts.unseen[value["values"]] += value["counts"]
    return known


def add_labelled(model: Model, parts: Iterable[LabelledRows]) -> LabelledRows:
    """Return the sum of counts."""
    total = no_rows(model)
    for part in parts:
        total.metrics.merge(part.metrics)
        total.without_label += part.without_label
        total.unseen.update(part.unseen)
        if len(total.unseen) > _MAX_COUNTED:
            total.unseen = Counter(dict(total.unseen.most_common(_MAX_COUNTED)))
    return total


def to_evaluation(counts: LabelledRows, model: Model) -> dict[str, Any]:
    """Return the content of `evaluation.json`; without metrics if no row has a label of the model.

    without_label, unseen_rows, unseen_labels: rows that are not compared, those of labels that the
    model does not have, and the most frequent of these.
    """
    unseen = {
        "without_label": counts.without_label,
        "unseen_rows": counts.unseen.total(),
        "unseen_labels": dict(
            sorted(counts.unseen.items(), key=lambda item: (-item[1], item[0]))[:_MAX_NAMED]
        ),
    }
    if not counts.metrics.rows:
        return unseen
    evaluation = counts.metrics.evaluation(_SPLIT, model.fingerprint, model.labels)
    return {**asdict(evaluation), **unseen}

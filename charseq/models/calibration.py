"""`calibration.json`, of a run and in the assets of its SavedModel: how sure its answers may be.

| key | value |
|---|---|
| `format_version` | 1 |
| `rows` | of the validation split, on which all was fitted and measured |
| `temperature` | by which the model's scores were divided before they were exported |
| `before`, `after` | `log_loss` (nats) and `calibration_error` on these rows, without and with it |
| `scores` | of the rows' own labels, ascending, for sets of labels: `lac` and `aps` |
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from charseq.errors import DataError
from charseq.files import damage_as_data_error, read_json_object
from charseq.json_values import build, convert
from charseq.measures.conformal import find_threshold
from charseq.measures.set_methods import SET_METHODS
from charseq.models.saved_model import CALIBRATION_FILE

_FORMAT_VERSION = 1


@dataclass(frozen=True)
class Sureness:
    """How far probabilities can be relied on: log loss in nats, and calibration error, 0 to 1."""

    log_loss: float
    calibration_error: float


@dataclass(frozen=True)
class Calibration:
    """The content of `calibration.json`.

    rows: on which all was fitted. temperature: in the exported weights. before, after: without and
    with it, on these rows. scores: by method, ascending; see `charseq.measures.conformal`.
    """

    rows: int
    temperature: float
    before: Sureness
    after: Sureness
    scores: Mapping[str, tuple[float, ...]]

    def threshold(self, method: str, coverage: float) -> float:
        """Return the highest score of a label in a set; see `find_threshold`."""
        return find_threshold(self.scores[method], coverage)

    def thresholds(self, coverages: Sequence[float]) -> dict[tuple[str, float], float]:
        """Return the thresholds of all methods, by method and coverage."""
        return {
            (method, coverage): self.threshold(method, coverage)
            for method in SET_METHODS
            for coverage in coverages
        }

    def to_json(self) -> dict[str, Any]:
        """Return the content of the file."""
        return {"format_version": _FORMAT_VERSION, **asdict(self)}


def read_calibration(directory: str) -> Calibration | None:
    """Return the calibration in a local directory; None if there is none.

    Raises:
        DataError: it is damaged, or a newer version of charseq wrote it.
    """
    path = os.path.join(directory, CALIBRATION_FILE)
    return parse_calibration(read_json_object(path), path) if os.path.lexists(path) else None


def parse_calibration(content: Mapping[str, Any], path: str) -> Calibration:
    """Return what a `calibration.json` says.

    Raises:
        DataError: as `read_calibration`; `path` is named.
    """
    with damage_as_data_error(path, f"a {CALIBRATION_FILE} of a training"):
        if (version := convert(int, content["format_version"], "format_version")) > _FORMAT_VERSION:
            raise DataError(
                f"{path}: got format version {version}, expected {_FORMAT_VERSION}: a newer "
                "version of charseq wrote it"
            )
        calibration = Calibration(
            convert(int, content["rows"], "rows"),
            convert(float, content["temperature"], "temperature"),
            build(Sureness, content["before"]),
            build(Sureness, content["after"]),
            {
                method: convert(tuple[float, ...], content["scores"][method], method)
                for method in SET_METHODS
            },
        )
        _check(calibration)
        return calibration


def _check(calibration: Calibration) -> None:
    """Check what sets of labels rely on.

    Raises:
        ValueError: scores are missing or not in order, or the temperature is not above 0.
    """
    if calibration.temperature <= 0:
        raise ValueError(f"temperature: got {calibration.temperature}, expected more than 0")
    for method, scores in calibration.scores.items():
        if len(scores) != calibration.rows:
            raise ValueError(f"{method}: got {len(scores)} scores, expected {calibration.rows}")
        if list(scores) != sorted(scores):
            raise ValueError(f"{method}: got scores that are not ascending")

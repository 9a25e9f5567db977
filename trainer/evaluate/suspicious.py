"""`suspicious.jsonl`: rows whose label looks wrong, by confident learning.

The threshold of a label is the mean probability that the rows of this label give it. A row is
suspicious if another label is more probable than its own, and at least as probable as that label's
threshold; the most probable of these is suggested (Northcutt, Jiang and Chuang 2021, Confident
Learning: Estimating Uncertainty in Dataset Labels, with labels that are less probable than the
row's own left out). The probabilities must be of a model that has not learned from the rows.

Rows are ranked by the margin, the probability of the suggested label less that of their own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from tempfile import SpooledTemporaryFile
from typing import IO, NamedTuple

import numpy as np
import numpy.typing as npt

from charseq.errors import DataError
from charseq.examples import ids_to_text
from charseq.files import damage_as_data_error, encode_text, parse_json_object, whole_file
from charseq.json_values import build
from charseq.measures.conformal import Probabilities
from charseq.measures.gains import Floats, Ints
from trainer.run_directory import SUSPICIOUS_FILE

# Of a row, the labels that may be suggested: more are hardly above a threshold, each of these being
# more probable.
_MOST_LABELS = 8
# Of texts, until they are on the disk.
_MEMORY_BYTES = 1 << 26
_SHOWN_ROWS = 10
_DECIMALS = 6


@dataclass(frozen=True)
class SuspiciousRow:
    """A line of the file.

    sequence: as the model reads it; an unknown character is U+FFFD. fold: of the row; None where
    the dataset has none.
    """

    sequence: str
    label: str
    suggested: str
    probability: float
    suggested_probability: float
    fold: int | None = None


class _Candidates(NamedTuple):
    """Rows of a batch for which another label than their own is the most probable.

    labels, own: (rows,) their labels and the probabilities of these. others, probabilities:
    (rows, at most 8) the most probable labels, in descending order. starts, lengths: of their texts
    in the file of texts, in ids. folds: (rows,).
    """

    labels: Ints
    own: Floats
    others: Ints
    probabilities: Floats
    starts: Ints
    lengths: Ints
    folds: Ints


@contextmanager
def collect_suspicious(num_labels: int) -> Iterator[SuspiciousRows]:
    """Yield a `SuspiciousRows`, to be used inside the block; num_labels: of the model."""
    with SpooledTemporaryFile(_MEMORY_BYTES) as texts:
        yield SuspiciousRows(num_labels, texts)


class SuspiciousRows:
    """The rows so far that may be suspicious, until the thresholds are known.

    Memory grows with the rows whose label is not the most probable one, by some 150 bytes for each.

    num_labels: of the model. texts: an empty file for the texts of these rows.
    """

    def __init__(self, num_labels: int, texts: IO[bytes]) -> None:
        self._sums = np.zeros(num_labels)
        self._rows = np.zeros(num_labels, np.int64)
        self._candidates: list[_Candidates] = []
        self._texts = texts
        self._num_ids = 0

    def add(
        self,
        labels: Ints,
        probabilities: Probabilities,
        ids: Ints,
        lengths: Ints,
        fold: int | None = None,
    ) -> None:
        """Add the rows of a batch.

        Args:
            labels: (batch,) int64.
            probabilities: (batch, labels) float.
            ids: (batch, timesteps) int64.
            lengths: (batch,) int64.
            fold: of the rows.
        """
        own = probabilities[np.arange(len(labels)), labels].astype(np.float64)
        self._sums += np.bincount(labels, own, len(self._sums))
        self._rows += np.bincount(labels, minlength=len(self._rows))
        chosen = np.flatnonzero(probabilities.max(axis=1) > own)
        if not chosen.size:
            return
        others, of_others = top_labels(probabilities[chosen])
        starts = []
        self._texts.seek(4 * self._num_ids)
        for row in chosen.tolist():
            text = ids[row, : lengths[row]].astype(np.int32)
            starts.append(self._num_ids)
            self._num_ids += len(text)
            self._texts.write(text.tobytes())
        folds = np.full(len(chosen), -1 if fold is None else fold)
        self._candidates.append(
            _Candidates(
                labels[chosen],
                own[chosen],
                others,
                of_others,
                np.array(starts),
                lengths[chosen],
                folds,
            )
        )

    def rank(self, labels: Sequence[str], alphabet: Sequence[str]) -> Iterator[SuspiciousRow]:
        """Yield the suspicious rows, those of the largest margin first.

        labels, alphabet: in the order of ids.
        """
        if not self._candidates:
            return
        found = _Candidates(*map(np.concatenate, zip(*self._candidates, strict=True)))
        suggested = suggest(found.own, found.others, found.probabilities, self.thresholds())
        places = np.flatnonzero(suggested >= 0)
        chosen = found.probabilities[places, suggested[places]]
        order = np.argsort(found.own[places] - chosen, kind="stable")
        for place, probability in zip(places[order].tolist(), chosen[order].tolist(), strict=True):
            self._texts.seek(4 * int(found.starts[place]))
            text = np.frombuffer(self._texts.read(4 * int(found.lengths[place])), np.int32)
            fold = int(found.folds[place])
            yield SuspiciousRow(
                ids_to_text(text.tolist(), alphabet),
                labels[found.labels[place]],
                labels[found.others[place, suggested[place]]],
                round(float(found.own[place]), _DECIMALS),
                round(probability, _DECIMALS),
                None if fold < 0 else fold,
            )

    def thresholds(self) -> Floats:
        """Return the threshold of each label, (labels,) float64; infinite for one without rows."""
        means = self._sums / np.maximum(self._rows, 1)
        thresholds: Floats = np.where(self._rows > 0, means, np.inf)
        return thresholds


def top_labels(probabilities: Probabilities) -> tuple[Ints, Floats]:
    """Return the most probable labels of each row, and their probabilities, in descending order.

    Of labels that are as probable, the first come first; 8 or fewer. (rows, labels) to two times
    (rows, kept).
    """
    kept = min(_MOST_LABELS, probabilities.shape[1])
    # Only these are sorted: of 10,000 labels that would take longer than the model.
    places = np.sort(np.argpartition(-probabilities, kept - 1, axis=1)[:, :kept], axis=1)
    of_places = np.take_along_axis(probabilities, places, axis=1)
    order = np.argsort(-of_places, axis=1, kind="stable")
    labels: Ints = np.take_along_axis(places, order, axis=1)
    return labels, np.take_along_axis(of_places, order, axis=1).astype(np.float64)


def suggest(own: Floats, others: Ints, probabilities: Floats, thresholds: Floats) -> Ints:
    """Return the place of the label that is suggested for each row, (rows,) int64; -1 for none.

    Args:
        own: (rows,) probabilities of the rows' own labels.
        others: (rows, kept) labels, the most probable first.
        probabilities: (rows, kept) of these.
        thresholds: (labels,).
    """
    fits: npt.NDArray[np.bool_] = (probabilities > own[:, np.newaxis]) & (
        probabilities >= thresholds[others]
    )
    return np.where(fits.any(axis=1), fits.argmax(axis=1), -1)


def write_suspicious(path: str, rows: Iterator[SuspiciousRow]) -> int:
    """Write the file, which appears whole; return the number of its rows."""
    count = 0
    with whole_file(path) as file:
        for row in rows:
            line = {name: value for name, value in asdict(row).items() if value is not None}
            file.write(encode_text(json.dumps(line, ensure_ascii=False) + "\n"))
            count += 1
    return count


def read_suspicious(path: str) -> tuple[int, list[SuspiciousRow]] | None:
    """Return the number of rows in a file, and the first ten; None if there is no file.

    Raises:
        DataError: it is damaged.
    """
    if not os.path.exists(path):
        return None
    count, first = 0, []
    try:
        with open(path, "rb") as file:
            for line in file:
                count += 1
                if count <= _SHOWN_ROWS:
                    first.append(_parse_row(line, f"{path}, line {count}"))
    except DataError as error:
        raise DataError(f"{error}; evaluate again, or remove the file") from error
    return count, first


def _parse_row(line: bytes, place: str) -> SuspiciousRow:
    content = parse_json_object(line, place)
    with damage_as_data_error(place, f"a row of a {SUSPICIOUS_FILE}"):
        return build(SuspiciousRow, content)

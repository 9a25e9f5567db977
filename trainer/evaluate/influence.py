"""What a model goes by: the influence of characters and n-grams on the label that it predicts.

Characters are replaced by the unknown one and the model is asked again, as the exported model does
(`trainer.export.explanation`). The influence is by how much the log-probability of the label falls,
in nats. An n-gram is replaced as a whole. What few rows hold may have an influence by chance, so
n-grams are ranked by a mean to which rows without any influence are added. One at the begin or at
the end of a text counts as an n-gram of its own, too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from charseq.measures.gains import Floats, Ints
from charseq.measures.influence import LEAST_PROBABILITY
from trainer.evaluate.certain_rows import Row

# From ids (rows, timesteps) int64 and lengths (rows,) int64 to probabilities (rows, labels).
Classify = Callable[[Ints, Ints], npt.NDArray[np.float32]]

MOST_NGRAM = 4
# Marks in an n-gram, beside its ids; no id is below 0.
BEGIN, END = -1, -2
# An n-gram of fewer rows is not shown.
LEAST_ROWS = 3
# Are added without influence, to rank.
_ADDED_ROWS = 10
_SHOWN_NGRAMS = 10
_IDS_AT_ONCE = 1 << 16


class NgramInfluence(NamedTuple):
    """An n-gram, the rows that hold it, and its mean influence on their label, in nats.

    ids: of its characters, after BEGIN or before END if it is only there.
    """

    ids: tuple[int, ...]
    rows: int
    influence: float


def count_occlusions(length: int) -> int:
    """Return how many n-grams a text of a length has."""
    return sum(max(length - n + 1, 0) for n in range(1, MOST_NGRAM + 1))


def within_budget(rows: Sequence[Row], cost: Callable[[int], int], budget: int) -> list[Row]:
    """Return the rows that are whole, in their order, as long as their costs are in a budget.

    cost: of a row, by its length. A row that is too long is passed over for the next ones.
    """
    chosen = []
    for row in rows:
        if row.is_whole and (needed := cost(row.length)) <= budget:
            chosen.append(row)
            budget -= needed
    return chosen


def measure_characters(
    classify: Classify, rows: Sequence[Row], unknown_id: int
) -> list[tuple[float, ...]]:
    """Return the influence of each character of each row; 0 of one that is unknown anyway.

    classify, rows, unknown_id: as of `measure_ngrams`.
    """
    occlusions = list(_occlusions(rows, [1], unknown_id))
    influence = [np.zeros(row.length) for row in rows]
    fallen = _occlude(classify, rows, occlusions, unknown_id)
    for (place, start, _), value in zip(occlusions, fallen, strict=True):
        influence[place][start] = value
    return [tuple(of_row.tolist()) for of_row in influence]


def measure_ngrams(
    classify: Classify, rows: Sequence[Row], unknown_id: int
) -> list[dict[tuple[int, ...], float]]:
    """Return the influence of each n-gram of each row, on the label that is predicted for it.

    Where a row holds an n-gram several times, it is the mean. N-grams with an unknown character are
    left out.

    Args:
        classify: the model.
        rows: whole ones.
        unknown_id: the id of the unknown character.
    """
    occlusions = list(_occlusions(rows, range(1, MOST_NGRAM + 1), unknown_id))
    found: list[defaultdict[tuple[int, ...], list[float]]] = [defaultdict(list) for _ in rows]
    fallen = _occlude(classify, rows, occlusions, unknown_id)
    for (place, start, end), value in zip(occlusions, fallen, strict=True):
        ngram = tuple(rows[place].ids[start:end].tolist())
        found[place][ngram].append(value)
        if start == 0:
            found[place][(BEGIN, *ngram)].append(value)
        if end == rows[place].length:
            found[place][(*ngram, END)].append(value)
    return [
        {ngram: sum(values) / len(values) for ngram, values in of_row.items()} for of_row in found
    ]


def _occlusions(
    rows: Sequence[Row], sizes: Sequence[int], unknown_id: int
) -> Iterator[tuple[int, int, int]]:
    """Yield place of the row, start and end of the parts of rows, those of the shortest first.

    A batch of rows of similar lengths has little padding, which takes time, too.
    """
    for place in sorted(range(len(rows)), key=lambda place: rows[place].length):
        ids, length = rows[place].ids, rows[place].length
        for size in sizes:
            for start in range(length - size + 1):
                if (ids[start : start + size] != unknown_id).all():
                    yield place, start, start + size


def _occlude(
    classify: Classify,
    rows: Sequence[Row],
    occlusions: Sequence[tuple[int, int, int]],
    unknown_id: int,
) -> Iterator[float]:
    """Yield by how much the log-probability of a row's label falls with each of its occlusions."""
    at_once = max(_IDS_AT_ONCE // max((row.length for row in rows), default=1), 1)
    for first in range(0, len(occlusions), at_once):
        some = occlusions[first : first + at_once]
        chosen = [rows[place] for place, _, _ in some]
        ids, lengths = _pad(chosen)
        for number, (_, start, end) in enumerate(some):
            ids[number, start:end] = unknown_id
        predicted = np.array([row.predicted for row in chosen])
        left = classify(ids, lengths)[np.arange(len(some)), predicted].astype(np.float64)
        own = np.array([row.probability for row in chosen])
        yield from (_log(own) - _log(left)).tolist()


def _pad(rows: Sequence[Row]) -> tuple[Ints, Ints]:
    """Return the ids (rows, longest) int64 and lengths (rows,) int64 of whole rows, one or more."""
    ids = np.zeros((len(rows), max(row.length for row in rows)), np.int64)
    for place, row in enumerate(rows):
        ids[place, : row.length] = row.ids
    return ids, np.array([row.length for row in rows])


def _log(probabilities: Floats) -> Floats:
    result: Floats = np.log(np.maximum(probabilities, LEAST_PROBABILITY))
    return result


def rank_ngrams(of_rows: Sequence[dict[tuple[int, ...], float]]) -> list[NgramInfluence]:
    """Return the n-grams that speak most for the label that is predicted for some rows.

    An n-gram that holds one of those before it, or is held by one, is left out.

    Args:
        of_rows: the influence of the n-grams of each row, as `measure_ngrams` gives it.
    """
    by_ngram: defaultdict[tuple[int, ...], list[float]] = defaultdict(list)
    for of_row in of_rows:
        for ngram, influence in of_row.items():
            by_ngram[ngram].append(influence)
    candidates = [
        (sum(values) / (len(values) + _ADDED_ROWS), ngram, values)
        for ngram, values in by_ngram.items()
        if len(values) >= LEAST_ROWS and sum(values) > 0
    ]
    candidates.sort(key=lambda one: (-one[0], one[1]))
    chosen: list[NgramInfluence] = []
    for _, ngram, values in candidates:
        if len(chosen) == _SHOWN_NGRAMS:
            break
        if not any(_holds(ngram, one.ids) or _holds(one.ids, ngram) for one in chosen):
            chosen.append(NgramInfluence(ngram, len(values), sum(values) / len(values)))
    return chosen


def _holds(long: tuple[int, ...], short: tuple[int, ...]) -> bool:
    return any(part == short for part in _parts(long, len(short)))


def _parts(ngram: tuple[int, ...], size: int) -> Iterator[tuple[int, ...]]:
    for start in range(len(ngram) - size + 1):
        yield ngram[start : start + size]

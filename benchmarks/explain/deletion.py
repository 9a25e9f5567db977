"""Delete the characters of rows one by one, and watch the probability of their label."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.figures import table
from benchmarks.quality.tasks import TASKS

_RANDOM_SEEDS = (1, 2, 3, 4, 5)
_SHARES = (0, 0.1, 0.2, 0.3, 0.5, 0.75, 1)
_BY_INFLUENCE, _AT_RANDOM = "by influence", "at random"

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]
# From ids (rows, timesteps) and lengths (rows,) to probabilities (rows, labels).
Classify = Callable[[Ints, Ints], Floats]


class Encoded(NamedTuple):
    """n rows: ids (n, timesteps), length (n,), influence (n, timesteps) in nats."""

    ids: Ints
    length: Ints
    influence: Floats


class Model(NamedTuple):
    """An exported model; unknown_id: that of a deleted character."""

    classify: Classify
    encode_and_explain: Callable[[Sequence[str]], Encoded]
    unknown_id: int


def order_by_influence(influence: Floats) -> Ints:
    """Return the positions of a row's characters, the most influential first."""
    return np.argsort(-influence, kind="stable")


def delete_one_by_one(ids: Ints, order: Ints, unknown_id: int) -> Ints:
    """Return a row with 0, 1, … all of its characters deleted, (characters + 1, timesteps)."""
    rows = np.repeat(ids[np.newaxis], len(order) + 1, axis=0)
    for deleted, position in enumerate(order, start=1):
        rows[deleted:, position] = unknown_id
    return rows


def deletion_curve(model: Model, ids: Ints, length: int, order: Ints) -> Floats:
    """Return the probability of the label of a row with 0, 1, … of its characters deleted."""
    rows = delete_one_by_one(ids, order, model.unknown_id)
    probabilities = model.classify(rows, np.full(len(rows), length))
    return probabilities[:, probabilities[0].argmax()]


def area(curve: Floats) -> float:
    """Return the area below a curve over the share of deleted characters, 0 to 1."""
    return float(((curve[1:] + curve[:-1]) / 2).mean())


def at_shares(curve: Floats, shares: Sequence[float] = _SHARES) -> Floats:
    """Return a curve at shares of deleted characters, between two numbers of them linearly."""
    return np.interp(shares, np.linspace(0, 1, len(curve)), curve)


class Measured(NamedTuple):
    """What deletion in some order did to the rows of a set.

    areas: (rows,), of each row. curve: the mean probability at each of _SHARES.
    """

    areas: Floats
    curve: Floats


def measure(model: Model, texts: Sequence[str]) -> dict[str, Measured]:
    """Delete the characters of texts by influence, and in random orders."""
    orders: dict[str, list[list[Floats]]] = {_BY_INFLUENCE: [], _AT_RANDOM: []}
    for number, (ids, length, influence) in enumerate(
        zip(*model.encode_and_explain(texts), strict=True)
    ):
        generators = [np.random.default_rng([seed, number]) for seed in _RANDOM_SEEDS]
        for name, tried in (
            (_BY_INFLUENCE, [order_by_influence(influence[:length])]),
            (_AT_RANDOM, [each.permutation(length) for each in generators]),
        ):
            curves = [deletion_curve(model, ids, int(length), order) for order in tried]
            orders[name].append(curves)
    return {name: summarize(rows) for name, rows in orders.items()}


def summarize(rows: Sequence[Sequence[Floats]]) -> Measured:
    """Return the means of the curves of each row, one or several."""
    areas = [np.mean([area(curve) for curve in curves]) for curves in rows]
    curve = np.mean([at_shares(curve) for curves in rows for curve in curves], axis=0)
    return Measured(np.array(areas), curve)


def deletion_table(results: Mapping[str, Mapping[str, Measured]]) -> str:
    """Return a line for each set and order."""
    lines = []
    for name, orders in results.items():
        for order, measured in orders.items():
            lower = np.mean(measured.areas < orders[_AT_RANDOM].areas)
            lines.append(
                [
                    f"{TASKS[name].title}, {order}",
                    *(f"{value:.3f}" for value in measured.curve),
                    f"{measured.areas.mean():.3f}",
                    "" if order == _AT_RANDOM else f"{lower:.1%}",
                ]
            )
    shares = [f"{share:.0%}" for share in _SHARES]
    return table(["characters deleted", *shares, "area", "rows where it is smaller"], lines)

"""The numbers of charts, which the macros of `macros.html` draw as inline SVG.

x is in percent of the width and y in pixels from the top, so that charts stretch with the page and
their text never does. Colours come from the style sheet, by kind: `train`, `cut`, ….
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import NamedTuple

from charseq.html.formats import format_measure, format_range, format_share, is_finite, shorten

_TICKS_APART = 10  # percent, room for a number on a narrow screen
PERCENT_LEVELS = tuple((percent / 100, f"{percent} %") for percent in (0, 25, 50, 75, 100))


class Bar(NamedTuple):
    """A bar between two edges in percent, and its tooltip.

    interval: the 95 % confidence interval of the value. expected: the value it is compared with.
    """

    left: float
    right: float
    value: float
    kind: str
    title: str
    interval: tuple[float, float] | None = None
    expected: float | None = None

    @property
    def middle(self) -> float:
        """The middle, in percent."""
        return (self.left + self.right) / 2


@dataclass(frozen=True)
class Chart:
    """Bars or curves over values from `low` to `high`, for the macro `plot`.

    label: its name for screen readers. levels: values with a line across, and their texts. ticks:
    percentages with a text below. curves: by kind, points (percent, value). hovers: edges of areas
    in percent, and their tooltips, beside those of bars. guide: values at the left and the right
    edge that a dashed line connects. mark: the percentage of a dashed vertical line; without it,
    its text stands at the right edge. top, height: pixels.
    """

    label: str
    low: float
    high: float
    levels: Sequence[tuple[float, str]]
    ticks: Sequence[tuple[float, str]] = ()
    bars: Sequence[Bar] = ()
    curves: Mapping[str, Sequence[tuple[float, float]]] = field(default_factory=dict)
    hovers: Sequence[tuple[float, float, str]] = ()
    guide: tuple[float, float] | None = None
    mark: float | None = None
    mark_text: str = ""
    top: int = 8
    height: int = 150

    def y(self, value: float) -> float:
        """Return the pixels from the top at which a value is drawn."""
        share = (value - self.low) / (self.high - self.low)
        return round(self.top + (1 - share) * self.height, 1)


class Band(NamedTuple):
    """A part of a whole, for the macro `flow`; all in pixels.

    left, right: where it begins at either side. size: its thickness. slot: room for its name.
    """

    name: str
    rows: int
    left: int
    right: int
    size: int
    slot: int


def split_flow(total: int, parts: Sequence[tuple[str, int]]) -> list[Band]:
    """Return bands as thick as the shares of the parts; tiny ones are thick enough to be seen."""
    sizes = [max(round(220 * rows / total), 2) if rows else 0 for _, rows in parts]
    slots = [max(44, size + 12) for size in sizes]
    lefts = accumulate(sizes, initial=(sum(slots) - sum(sizes)) // 2)
    tops = accumulate(slots, initial=0)
    return [
        Band(*part, left, top + (slot - size) // 2, size, slot)
        for part, size, slot, left, top in zip(parts, sizes, slots, lefts, tops, strict=False)
    ]


def chart_lengths(
    bins: Sequence[tuple[int, int, int]], max_length: int, last_exact: int, mark: str
) -> Chart:
    """Return a histogram of lengths; bars beyond `max_length` have the colour of a cut.

    Args:
        bins: first length, last length and number of rows of each, in order; one ends at
            `max_length`, unless that is beyond all of them.
        max_length: where `mark` stands.
        last_exact: the length up to which bins are of equal width; beyond, each spans twice the
            lengths of the one before and is drawn twice as wide.
        mark: what happens there, as `cut at 31`.
    """
    total, most = sum(rows for _, _, rows in bins), max(rows for _, _, rows in bins)
    units = [2 if first > last_exact else 1 for first, _, _ in bins]
    edges = pairwise(100 * unit / sum(units) for unit in accumulate(units, initial=0))
    bars = []
    for (left, right), (first, last, rows) in zip(edges, bins, strict=True):
        title = f"{format_range(first, last)}: {rows:,} ({format_share(rows, total)})"
        bars.append(Bar(left, right, rows, "kept" if last <= max_length else "cut", title))
    cut = [bar.right for bar, (_, last, _) in zip(bars, bins, strict=True) if last == max_length]
    return Chart(
        "Sequences by length",
        low=0,
        high=max(most, 1),
        levels=[(rows, shorten(rows)) for rows in (0, *round_counts(most, 4))],
        ticks=_length_ticks(bins, bars, last_exact),
        bars=bars,
        mark=cut[0] if cut else None,
        mark_text=mark if cut else f"{mark} →",
        top=24,
        height=156,
    )


def _length_ticks(
    bins: Sequence[tuple[int, int, int]], bars: Sequence[Bar], last_exact: int
) -> list[tuple[float, str]]:
    """Return round lengths, and beyond `last_exact` the last of each bin; where they fit."""
    inner = sum(first <= last_exact for first, _, _ in bins) - 1
    step = int(round_up(max(_TICKS_APART * bins[inner][1] / bars[inner].right, 1)))
    ticks: list[tuple[float, str]] = []
    # From the right, so that the end of a long tail has its number.
    for (first, last, _), bar in zip(reversed(bins), reversed(bars), strict=True):
        length = last if first > last_exact else last // step * step
        fits = not ticks or ticks[-1][0] - bar.middle > _TICKS_APART - 1e-9
        if length >= first and fits:
            ticks.append((bar.middle, shorten(length)))
    return ticks


def chart_epochs(
    label: str,
    curves: Mapping[str, Sequence[float | None]],
    from_zero: bool,
    best: int | None = None,
) -> Chart:
    """Return a curve of each kind through its values by epoch; those not finite are left out.

    from_zero: whether the axis begins at 0, or below the least value. best: an epoch, from 1.
    """
    num_epochs = len(next(iter(curves.values())))
    step = 100 / max(num_epochs - 1, 1)
    xs = [step * n for n in range(num_epochs)] if num_epochs > 1 else [50.0]
    points = {
        kind: [(x, value) for x, value in zip(xs, values, strict=True) if is_finite(value)]
        for kind, values in curves.items()
    }
    drawn = [value for line in points.values() for _, value in line]
    levels = round_levels([0.0, *drawn] if from_zero else drawn)
    titles = [
        ", ".join(f"{kind} {format_measure(values[n])}" for kind, values in curves.items())
        for n in range(num_epochs)
    ]
    return Chart(
        f"{label} by epoch",
        low=levels[0],
        high=levels[-1],
        levels=[(level, _format_level(level, levels)) for level in levels],
        ticks=[(xs[n - 1], str(n)) for n in sorted({1, *round_counts(num_epochs, 8)})],
        curves=points,
        hovers=[
            (x - step / 2, x + step / 2, f"epoch {n}: {title}")
            for n, (x, title) in enumerate(zip(xs, titles, strict=True), start=1)
        ],
        mark=xs[best - 1] if best else None,
    )


def chart_answered(points: Sequence[tuple[float, float, float]]) -> Chart:
    """Return a curve of the accuracy on the surest rows by the share of the rows that they are.

    points: share, accuracy and the least probability of each, by share; one or more.
    """
    levels = round_levels([min(0.99, *(accuracy for _, accuracy, _ in points)), 1.0])
    edges = pairwise([0.0, *(100 * share for share, _, _ in points)])
    return Chart(
        "Accuracy by the share answered",
        low=levels[0],
        high=levels[-1],
        levels=[(level, f"{100 * level:g} %") for level in levels],
        ticks=[(100 * level, text) for level, text in PERCENT_LEVELS],
        curves={"train": [(100 * share, accuracy) for share, accuracy, _ in points]},
        hovers=[
            (
                left,
                right,
                f"the surest {right:g} %: accuracy {accuracy:.3f}, probability {least:.3f} or more",
            )
            for (left, right), (_, accuracy, least) in zip(edges, points, strict=True)
        ],
    )


def _format_level(level: float, levels: Sequence[float]) -> str:
    if levels[-1] < 0.001:
        return f"{level:.1e}" if level else "0"
    if levels[-1] >= 10_000:
        return f"{level / 1000:g}k" if level else "0"
    decimals = -math.floor(math.log10(levels[1] - levels[0]) + 1e-9)
    return f"{level:,.{max(0, decimals)}f}"


def round_levels(values: Sequence[float]) -> list[float]:
    """Return two or more round numbers in equal steps, around all `values`."""
    if not values:
        return [0.0, 1.0]
    low, high = min(values), max(values)
    step = round_up(max(high - low, abs(high) * 1e-3, 1e-9) / 4)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [number * step for number in range(first, max(last, first + 1) + 1)]


def round_counts(last: float, most: int) -> list[int]:
    """Return at most `most` whole numbers up to `last`, in equal round steps."""
    step = int(round_up(max(last / most, 1)))
    return list(range(step, int(last) + 1, step))


def round_up(number: float) -> float:
    """Return the least of …, 0.1, 0.2, 0.5, 1, 2, 5, 10, … that is not below `number`."""
    power = 10.0 ** math.floor(math.log10(number))
    return next(digit * power for digit in (1, 2, 5, 10) if digit * power >= number * (1 - 1e-9))

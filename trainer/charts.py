"""Charts as HTML with inline SVG: no scripts, colours of the page, any width.

Shapes stretch with the page, and text never does: it stands beside the drawing, or at percentages
of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

STYLE = """
.plot { display: grid; grid-template-columns: 2.9rem 1fr; column-gap: .5rem; margin: .2rem 0; }
.axis { position: relative; }
.axis span { position: absolute; right: 0; transform: translateY(-50%); line-height: 1;
  font-size: 12px; color: var(--muted); font-variant-numeric: tabular-nums; }
svg { display: block; width: 100%; overflow: visible; }
svg text { fill: var(--muted); font-size: 12px; font-variant-numeric: tabular-nums; }
.grid { stroke: var(--line); } .zero { stroke: var(--muted); opacity: .6; }
.curve { fill: none; stroke-width: 2; vector-effect: non-scaling-stroke; stroke-linejoin: round; }
.curve.train, circle.train { stroke: var(--train); }
.curve.validation, circle.validation { stroke: var(--validation); }
circle { fill: var(--back); stroke-width: 2; }
.mark { stroke: var(--muted); stroke-dasharray: 4 3; }
.ideal { stroke: var(--muted); stroke-dasharray: 4 3; vector-effect: non-scaling-stroke; }
.column { fill: var(--train); } .rows { fill: var(--muted); opacity: .5; }
.expected { stroke: var(--wrong); stroke-width: 3; }
.whisker { stroke: var(--text); opacity: .55; }
.hover { fill: transparent; } .hover:hover { fill: var(--text); opacity: .06; }
.bar { display: block; background: var(--line); border-radius: 2px; height: .6rem;
  min-width: 3rem; }
.bar i { display: block; height: 100%; border-radius: 2px; background: var(--train); }
.bar.wrong i { background: var(--wrong); }
"""

_PLOT = (8, 158)  # pixels from the top, between which values are drawn
_TICKS = 24  # pixels below, for numbers
_ROWS = 44  # pixels, the height of the small histogram of rows
_DOTTED = 40  # epochs, above which dots would run together
_THINNEST = 2  # pixels, so that a tiny share is still seen


class Curve(NamedTuple):
    """One value an epoch, None or not finite where there is none; kind: train or validation."""

    kind: str
    values: Sequence[float | None]


class Column(NamedTuple):
    """The rows of one bin: its edges in percent of the drawing, and what is known of them.

    accuracy: 0 to 1; likely: where it lies with 95 %; expected: what it should be, if known.
    """

    left: float
    right: float
    rows: int
    accuracy: float
    likely: tuple[float, float]
    expected: float | None
    title: str


def draw_curves(
    name: str, curves: Sequence[Curve], from_zero: bool, best: int | None = None
) -> str:
    """Values by epoch; with a line at the epoch `best`, from 1.

    from_zero: whether the axis begins at 0, or below the least value.
    """
    epochs = len(curves[0].values)
    numbers = [value for curve in curves for _, value in _numbers(curve)]
    levels = round_levels([0.0, *numbers] if from_zero else numbers)
    low, high = levels[0], levels[-1]
    top, bottom = _PLOT

    def y(value: float) -> float:
        return bottom - (value - low) / (high - low) * (bottom - top)

    def x(epoch: int) -> float:
        return 50.0 if epochs == 1 else 100 * (epoch - 1) / (epochs - 1)

    drawn, paths = [], []
    if best is not None:
        drawn.append(_vertical(x(best), "mark", top, bottom))
    for curve in curves:
        points = [(x(epoch), y(value)) for epoch, value in _numbers(curve)]
        line = "L".join(f"{at:.2f} {height:.1f}" for at, height in points)
        paths.append(f'<path class="curve {curve.kind}" d="M{line}"/>' if points else "")
        if epochs <= _DOTTED:
            drawn += [
                f'<circle class={curve.kind} cx="{at:.2f}%" cy="{height:.1f}" r="3"/>'
                for at, height in points
            ]
    wide = 100 / max(epochs - 1, 1)
    for epoch in range(1, epochs + 1):
        title = ", ".join(f"{kind} {format_number(values[epoch - 1])}" for kind, values in curves)
        drawn.append(_hover(x(epoch) - wide / 2, wide, bottom, f"epoch {epoch}: {title}"))
    drawn += [_tick(x(epoch), str(epoch)) for epoch in _round_places(epochs)]
    stretched = (
        f'<svg viewBox="0 0 100 {bottom}" height="{bottom}" preserveAspectRatio="none">'
        f"{''.join(paths)}</svg>"
    )
    axis = [(y(level), _format_level(level, levels)) for level in levels]
    return _plot(f"{name} by epoch", bottom + _TICKS, axis, stretched + "".join(drawn))


def draw_columns(
    name: str,
    columns: Sequence[Column],
    ticks: Sequence[tuple[float, str]],
    overall: float | None = None,
) -> str:
    """Accuracy by bin, with its likely range, above a histogram of the rows.

    Args:
        name: what it shows, for those who cannot see it.
        columns: the bins that hold a row.
        ticks: places below, in percent, and their texts.
        overall: the accuracy over all rows, drawn across; without it, what would be ideal is.
    """
    top, bottom = _PLOT
    height = bottom - top

    def y(share: float) -> float:
        return bottom - share * height

    drawn = []
    for one in columns:
        place = f'x="{one.left:.2f}%" width="{0.86 * (one.right - one.left):.2f}%"'
        drawn.append(
            f'<rect class=column {place} y="{y(one.accuracy):.1f}" '
            f'height="{one.accuracy * height:.1f}"/>'
        )
        if one.expected is not None:
            right = one.left + 0.86 * (one.right - one.left)
            drawn.append(
                f'<line class=expected x1="{one.left:.2f}%" x2="{right:.2f}%" '
                f'y1="{y(one.expected):.1f}" y2="{y(one.expected):.1f}"/>'
            )
        middle = one.left + 0.43 * (one.right - one.left)
        drawn.append(_vertical(middle, "whisker", y(one.likely[1]), y(one.likely[0])))
    if overall is None:
        drawn.append(f'<line class=ideal x1="0" y1="{bottom}" x2="100%" y2="{top}"/>')
    else:
        drawn.append(_horizontal(y(overall), "ideal"))
    drawn += [_hover(one.left, one.right - one.left, bottom, one.title) for one in columns]
    axis = [(y(share), f"{share:.0%}".replace("%", " %")) for share in (0, 0.25, 0.5, 0.75, 1)]
    most = max(one.rows for one in columns)
    rows = [
        f'<rect class=rows x="{one.left:.2f}%" width="{0.86 * (one.right - one.left):.2f}%" '
        f'y="{_ROWS - max(one.rows / most * _ROWS, _THINNEST):.1f}" '
        f'height="{max(one.rows / most * _ROWS, _THINNEST):.1f}"/>'
        for one in columns
    ]
    rows += [_hover(one.left, one.right - one.left, _ROWS, one.title) for one in columns]
    rows += [_tick(at, text, _ROWS + 16) for at, text in ticks]
    return _plot(name, bottom + 14, axis, "".join(drawn)) + _plot(
        "Rows", _ROWS + _TICKS, [(0, _short(most)), (_ROWS, "0")], "".join(rows)
    )


def draw_bar(count: float, most: float, kind: str = "") -> str:
    """A bar as wide as the share of `most`."""
    size = f"width:max({100 * count / most:.2f}%,{_THINNEST}px)" if count else "width:0"
    return f'<span class="bar {kind}"><i style="{size}"></i></span>'


def format_number(value: float | None) -> str:
    """A measure in about four digits."""
    if value is None or not math.isfinite(value):
        return "–"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4f}" if abs(value) >= 0.01 or value == 0 else f"{value:.3g}"


def format_percent(share: float) -> str:
    """A share in percent; 0 % and 100 % only where they are exact."""
    percent = 100 * share
    if percent in (0, 100):
        return f"{percent:.0f} %"
    if percent < 0.1:
        return "&lt; 0.1 %"
    return "&gt; 99.9 %" if percent > 99.9 else f"{percent:.1f} %"


def round_levels(values: Sequence[float]) -> list[float]:
    """Round numbers in equal steps, two or more, from at most the least value to the greatest."""
    if not values:
        return [0.0, 1.0]
    low, high = min(values), max(values)
    step = _round_up(max(high - low, abs(high) * 1e-3, 1e-9) / 4)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [number * step for number in range(first, max(last, first + 1) + 1)]


def round_lengths(last: int) -> list[int]:
    """Some of the lengths 1 to `last`, at round numbers."""
    step = int(max(_round_up(last / 8), 1))
    return list(range(step, last + 1, step))


def _round_places(last: int) -> list[int]:
    return sorted({1, *round_lengths(last)})


def _round_up(number: float) -> float:
    """The least of …, 0.1, 0.2, 0.5, 1, 2, 5, 10, … that is not below `number`."""
    power = 10.0 ** math.floor(math.log10(number))
    return next(digit * power for digit in (1, 2, 5, 10) if digit * power >= number * (1 - 1e-9))


def _format_level(level: float, levels: Sequence[float]) -> str:
    step = levels[1] - levels[0]
    if abs(levels[-1]) < 0.001:
        return f"{level:.1e}" if level else "0"
    if levels[-1] >= 10_000:
        return f"{level / 1000:g}k" if level else "0"
    return f"{level:,.{max(0, -math.floor(math.log10(step) + 1e-9))}f}"


def _short(number: int) -> str:
    for unit, name in ((10**6, "M"), (10**3, "k")):
        if number >= 10 * unit:
            return f"{number / unit:.0f}{name}"
    return f"{number:,}"


def _numbers(curve: Curve) -> list[tuple[int, float]]:
    """The epochs, from 1, that have a value, and it."""
    return [
        (epoch, value)
        for epoch, value in enumerate(curve.values, start=1)
        if value is not None and math.isfinite(value)
    ]


def _plot(name: str, height: float, axis: Sequence[tuple[float, str]], drawn: str) -> str:
    """A drawing, with lines across it at heights whose texts stand at its left."""
    lines = "".join(_horizontal(y, "grid") for y, _ in axis)
    texts = "".join(f'<span style="top:{y:.1f}px">{text}</span>' for y, text in axis)
    return (
        f'<div class=plot><div class=axis>{texts}</div><svg height="{height}" role="img" '
        f'aria-label="{escape(name)}">{lines}{drawn}</svg></div>'
    )


def _horizontal(y: float, kind: str) -> str:
    return f'<line class={kind} x2="100%" y1="{y:.1f}" y2="{y:.1f}"/>'


def _vertical(x: float, kind: str, top: float, bottom: float) -> str:
    return f'<line class={kind} x1="{x:.2f}%" x2="{x:.2f}%" y1="{top:.1f}" y2="{bottom:.1f}"/>'


def _hover(left: float, width: float, height: float, title: str) -> str:
    return (
        f'<rect class=hover x="{left:.2f}%" width="{width:.2f}%" height="{height}">'
        f"<title>{title}</title></rect>"
    )


def _tick(x: float, text: str, y: float = _PLOT[1] + 18) -> str:
    # Half of a long one would stand out of a narrow page.
    anchor = "end" if x > 99 and len(text) > 3 else "middle"
    return f'<text x="{x:.2f}%" y="{y}" text-anchor="{anchor}">{text}</text>'

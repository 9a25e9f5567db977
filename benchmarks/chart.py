"""Draw a line chart as a self-contained SVG file with colors for light and dark pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from charseq.html.charts import round_counts

_WIDTH, _HEIGHT = 760, 400
# Of the plot; the names of the lines stand to its right.
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 560, 16, 352
_SECOND_TICKS = 6
_NUM_LEVELS = 5
# Okabe and Ito's, told apart by the colour-blind too.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c8c8c")
_STYLE = """
text { font: 12px system-ui, sans-serif; fill: #444; }
.grid { stroke: #ddd; }
polyline { fill: none; stroke-width: 1.8; }
@media (prefers-color-scheme: dark) { text { fill: #bbb; } .grid { stroke: #444; } }
"""


def draw_accuracy(series: Mapping[str, Sequence[tuple[float, float]]], lowest: float = 0.0) -> str:
    """An SVG document: for each name its points (seconds, accuracy `lowest` to 1) as a line.

    Raises:
        ValueError: there are more names than colours.
    """
    if len(series) > len(_COLOURS):
        raise ValueError(f"got {len(series)} lines, expected at most {len(_COLOURS)}")
    most = max(seconds for points in series.values() for seconds, _ in points)

    def x(seconds: float) -> float:
        return _LEFT + (_RIGHT - _LEFT) * seconds / most

    def y(accuracy: float) -> float:
        return _BOTTOM - (_BOTTOM - _TOP) * (accuracy - lowest) / (1 - lowest)

    levels = [lowest + (1 - lowest) * place / _NUM_LEVELS for place in range(_NUM_LEVELS + 1)]
    drawn = [
        f'<line class="grid" x1="{_LEFT}" x2="{_RIGHT}" y1="{y(level):.1f}" y2="{y(level):.1f}"/>'
        f'<text x="{_LEFT - 6}" y="{y(level) + 4:.1f}" text-anchor="end">{level:.1f}</text>'
        for level in levels
    ]
    drawn += [
        f'<text x="{x(seconds):.1f}" y="{_BOTTOM + 18}" text-anchor="middle">{seconds}</text>'
        for seconds in (0, *round_counts(most, _SECOND_TICKS))
    ]
    middle = (_LEFT + _RIGHT) // 2
    drawn.append(
        f'<text x="{middle}" y="{_BOTTOM + 38}" text-anchor="middle">seconds of training</text>'
    )
    for place, ((name, points), colour) in enumerate(zip(series.items(), _COLOURS, strict=False)):
        line = " ".join(f"{x(seconds):.1f},{y(accuracy):.1f}" for seconds, accuracy in points)
        dots = "".join(
            f'<circle cx="{x(seconds):.1f}" cy="{y(accuracy):.1f}" r="2.5" fill="{colour}"/>'
            for seconds, accuracy in points
        )
        row = _TOP + 12 + 20 * place
        drawn.append(
            f'<polyline stroke="{colour}" points="{line}"/>{dots}'
            f'<rect x="{_RIGHT + 20}" y="{row - 6}" width="14" height="3" fill="{colour}"/>'
            f'<text x="{_RIGHT + 40}" y="{row}">{escape(name)}</text>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="Validation accuracy by seconds of training"><style>{_STYLE}</style>\n'
        + "\n".join(drawn)
        + "\n</svg>\n"
    )

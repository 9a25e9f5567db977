"""Charts as HTML with inline SVG: no scripts, colours of the page, any width.

What is drawn stretches with the page, and text never does: it stands beside the drawing, or at
percentages of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pipeline.rows.lengths import LengthBin

STYLE = """
.flow { display: grid; grid-template-columns: max-content minmax(3rem, 26rem) max-content;
  column-gap: .6rem; font-variant-numeric: tabular-nums; }
.flow div { display: flex; flex-direction: column; justify-content: center; line-height: 1.3; }
.flow .from { text-align: right; }
.flow .none { color: var(--muted); }
svg { display: block; width: 100%; overflow: visible; }
svg text { fill: var(--muted); font-size: 12px; font-variant-numeric: tabular-nums;
  paint-order: stroke; stroke: var(--back); stroke-width: 3px; stroke-linejoin: round; }
.band { opacity: .35; }
.train { fill: var(--train); } .validation { fill: var(--validation); } .test { fill: var(--test); }
.duplicates { fill: var(--duplicates); } .rejected { fill: var(--rejected); }
.read { fill: var(--muted); } .kept { fill: var(--train); } .cut { fill: var(--cut); }
svg .at-cut { fill: var(--cut); font-weight: 600; }
.at-cut-line { stroke: var(--cut); stroke-width: 1.5; stroke-dasharray: 4 3; }
.grid { stroke: var(--line); }
.bar { display: block; background: var(--line); border-radius: 2px; height: .7rem;
  min-width: 3rem; max-width: 36rem; }
.bar i { display: block; height: 100%; border-radius: 2px; background: var(--train); }
.bar.rest i { background: var(--cut); } .bar.bad i { background: var(--rejected); }
"""

_WHOLE = 220  # pixels of all rows
_SLOT = 44  # pixels, room for two lines of text
_THINNEST = 2  # pixels, so that a tiny share is still seen


def format_share(count: int, whole: int) -> str:
    """`count` of `whole` in percent; 0 % and 100 % only where they are exact."""
    if count in (0, whole):
        return "100 %" if count else "0 %"
    percent = 100 * count / whole
    if percent < 0.01:
        return "&lt; 0.01 %"
    if percent > 99.9:
        return "&gt; 99.9 %"
    return f"{percent:.1f} %" if percent >= 1 else f"{percent:.2f} %"


def draw_flow(whole: tuple[str, int], parts: Sequence[tuple[str, int]]) -> str:
    """All rows at the left, and a band to each of their parts, as wide as its share."""
    name, total = whole
    thickness = [max(_WHOLE * count / total, _THINNEST) if count else 0 for _, count in parts]
    slots = [max(_SLOT, round(size) + 12) for size in thickness]
    height, read = sum(slots), sum(thickness)
    left, top = (height - read) / 2, 0.0
    bands, nodes, labels = [], [], []
    for (part, count), size, slot in zip(parts, thickness, slots, strict=True):
        right = top + (slot - size) / 2
        if count:
            bands.append(
                f'<path class="band {part}" d="M0 {left:.1f}C50 {left:.1f} 50 {right:.1f} 100 '
                f"{right:.1f}v{size:.1f}C50 {right + size:.1f} 50 {left + size:.1f} 0 "
                f'{left + size:.1f}z"/>'
            )
            nodes.append(
                f'<rect class="{part}" x="100%" y="{right:.1f}" width="6" height="{size:.1f}" '
                'transform="translate(-6)"/>'
            )
        share = f"<small>{format_share(count, total)}</small>" if count else ""
        labels.append(
            f'<div class="{"to" if count else "none"}" style="height:{slot}px"><b>{part}</b>'
            f"<span>{count:,} {share}</span></div>"
        )
        left, top = left + size, top + slot
    return (
        f"<div class=flow><div class=from><b>{name}</b><span>{total:,}</span></div>"
        f'<svg height="{height}" aria-hidden="true">'
        f'<svg viewBox="0 0 100 {height}" preserveAspectRatio="none">{"".join(bands)}</svg>'
        f'<rect class=read y="{(height - read) / 2:.1f}" width="6" height="{read:.1f}"/>'
        f"{''.join(nodes)}</svg><div>{''.join(labels)}</div></div>"
    )


class _Column(NamedTuple):
    """A bin of the histogram: its left edge and width, in percent of the drawing."""

    bin: LengthBin
    left: float
    width: float


_PLOT = (24, 180)  # pixels from the top, between which the columns stand
_TICKS_APART = 9  # percent, room for a number on a narrow screen


def draw_lengths(bins: Sequence[LengthBin], max_length: int, exact: int, cut: str) -> str:
    """A histogram with a mark behind `max_length`, and what lies beyond in the colour of a cut.

    Args:
        bins: see `bin_lengths`.
        max_length: where the cut is.
        exact: up to here bins are of equal width; beyond they double, and are drawn twice as wide.
        cut: what happens there, as `cut at 31`.
    """
    columns = _place(bins, exact)
    most = max(one.rows for one in bins)
    top, bottom = _PLOT
    scale = (bottom - top) / max(most, 1)
    total = sum(one.rows for one in bins)
    levels = {rows: bottom - rows * scale for rows in (0, *_grid(most))}
    drawn = [f'<line class=grid x2="100%" y1="{y:.1f}" y2="{y:.1f}"/>' for y in levels.values()]
    for one, left, width in columns:
        if one.rows:
            size = max(one.rows * scale, _THINNEST)
            drawn.append(
                f'<rect class="{"kept" if one.last <= max_length else "cut"}" x="{left:.2f}%" '
                f'width="{0.85 * width:.2f}%" y="{bottom - size:.1f}" height="{size:.1f}"><title>'
                f"{span(one)}: {one.rows:,} ({format_share(one.rows, total)})</title></rect>"
            )
    drawn += [f'<text y="{y - 3:.1f}">{rows:,}</text>' for rows, y in levels.items() if rows]
    return (
        f'<svg height="{bottom + 22}" role="img" aria-label="Sequences by length">'
        f"{''.join(drawn)}{_ticks(columns, exact)}{_mark(columns, max_length, cut)}</svg>"
    )


def span(one: LengthBin) -> str:
    """The lengths in a bin, as `7` or `8–14`."""
    return f"{one.last:,}" if one.first == one.last else f"{one.first:,}–{one.last:,}"


def _place(bins: Sequence[LengthBin], exact: int) -> list[_Column]:
    units = [2 if one.first > exact else 1 for one in bins]
    unit = 100 / sum(units)
    lefts = [unit * sum(units[:place]) for place in range(len(bins))]
    return [_Column(*one) for one in zip(bins, lefts, (unit * n for n in units), strict=True)]


def _grid(most: int) -> list[int]:
    """A few round counts, none above `most`."""
    step = round_up(most / 4)
    return list(range(step, most + 1, step))


def _ticks(columns: Sequence[_Column], exact: int) -> str:
    """Round lengths below their columns, and beyond `exact` the last of a column; where it fits."""
    inner = [one for one in columns if one.bin.first <= exact]
    percent = inner[-1].left + inner[-1].width
    step = round_up(_TICKS_APART * inner[-1].bin.last / percent)
    found = []
    for one, left, width in columns:
        length = one.last if one.first > exact else one.last // step * step
        if length >= one.first:
            found.append((left + 0.425 * width, length))
    # From the right, so that the end of a long tail is named.
    kept: list[tuple[float, int]] = []
    for centre, length in reversed(found):
        if not kept or kept[-1][0] - centre > _TICKS_APART - 1e-9:
            kept.append((centre, length))
    return "".join(
        f'<text x="{centre:.2f}%" y="{_PLOT[1] + 16}" text-anchor="middle">{_short(length)}</text>'
        for centre, length in reversed(kept)
    )


def round_up(number: float) -> int:
    """The least of 1, 2, 5, 10, 20, 50, … that is not below `number`."""
    power = 1
    while 10 * power < number:
        power *= 10
    return next(digit * power for digit in (1, 2, 5, 10) if digit * power >= number)


def _short(number: int) -> str:
    for unit, name in ((10**6, "M"), (10**3, "k")):
        if number >= 10 * unit:
            return f"{number // unit}{name}"
    return str(number)


def _mark(columns: Sequence[_Column], max_length: int, cut: str) -> str:
    """A line behind `max_length`; an arrow, where that is beyond the last column."""
    last = columns[-1]
    if max_length > last.bin.last:
        return f'<text class=at-cut x="100%" y="12" text-anchor="end">{cut} →</text>'
    column = next(one for one in columns if one.bin.last == max_length)
    x = column.left + 0.925 * column.width
    anchor, shift = ("end", -5) if x > 60 else ("start", 5)
    return (
        f'<line class=at-cut-line x1="{x:.2f}%" x2="{x:.2f}%" y1="2" y2="{_PLOT[1]}"/>'
        f'<text class=at-cut x="{x:.2f}%" dx="{shift}" y="12" text-anchor="{anchor}">{cut}</text>'
    )


def draw_bar(count: int, most: int, kind: str = "") -> str:
    """A bar as wide as the share of `most`."""
    size = f"width:max({100 * count / most:.2f}%,{_THINNEST}px)" if count else "width:0"
    return f'<span class="bar {kind}"><i style="{size}"></i></span>'

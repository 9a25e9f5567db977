"""What a comparison found, as a table, as JSON and as a page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any

from charseq.console.messages import shorten_message
from charseq.files import to_json_text
from charseq.html import render
from charseq.html.charts import PERCENT_LEVELS, Chart, round_counts
from charseq.html.formats import format_plural
from charseq.manifest import OUTSIDE
from pipeline.compare.limits import DEFAULT_LIMITS, find_exceeded
from pipeline.compare.measures import MEASURES, Change, measure
from pipeline.compare.profile import Named

PAGE_FILE, RESULT_FILE = "compare.html", "compare.json"
_FORMAT_VERSION = 1
_SHOWN = 30


@dataclass(frozen=True)
class Comparison:
    """Two profiles and the changes between them; alphabet: of the first. limits: of --fail-if."""

    first: Named
    second: Named
    alphabet: tuple[str, ...]
    limits: Mapping[str, float]

    @cached_property
    def changes(self) -> dict[str, Change]:
        """The change of each measure, by name."""
        return measure(self.first.profile, self.second.profile, self.alphabet)

    @property
    def exceeded(self) -> dict[str, float]:
        """The limits of --fail-if that changes are beyond, by name."""
        return find_exceeded(self.changes, self.limits)

    def _limit(self, name: str) -> float | None:
        """Return the limit of --fail-if, or the usual one."""
        return self.limits.get(name, DEFAULT_LIMITS.get(name))

    def format(self) -> str:
        """Return the changes as a table, those beyond their limit, or the default one, marked."""
        second, first = (
            f"{name}, {format_plural(profile.rows, 'row')}"
            for name, profile in (self.second, self.first)
        )
        lines = [
            f"{second}, beside {first}",
            f"{'':<13}  change   limit",
        ]
        for name, change in self.changes.items():
            limit = self._limit(name)
            shown = f"{'–' if limit is None else f'{limit:g}':>6}"
            if change.value is None:
                lines.append(f"{name:<13}  {'–':>6}  {shown}  not known")
                continue
            mark = "  CHANGED" if limit is not None and change.value > limit else ""
            about = f"  {change.about}" if change.about else ""
            lines.append(shorten_message(f"{name:<13}  {change.value:>6.4f}  {shown}{mark}{about}"))
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """Return the content of `compare.json`."""
        changes, exceeded = self.changes, self.exceeded
        return {
            "format_version": _FORMAT_VERSION,
            "first": {"name": self.first.name, "rows": self.first.profile.rows},
            "second": {"name": self.second.name, "rows": self.second.profile.rows},
            "changes": {
                each.name: {
                    "value": changes[each.name].value,
                    "about": changes[each.name].about,
                    "limit": self.limits.get(each.name),
                    "exceeded": each.name in exceeded,
                }
                for each in MEASURES
            },
        }

    def to_files(self) -> dict[str, str]:
        """Return the texts of `compare.json` and `compare.html`, by name, as they are written."""
        return {RESULT_FILE: to_json_text(self.to_json()), PAGE_FILE: self._to_page()}

    def _to_page(self) -> str:
        before, after = self.first.profile, self.second.profile
        characters = [profile.characters_in(self.alphabet) for profile in (before, after)]
        return render(
            "compare.html",
            first=self.first,
            second=self.second,
            measures=[(each, self.changes[each.name], self._limit(each.name)) for each in MEASURES],
            exceeded=self.exceeded,
            has_limits=bool(self.limits),
            lengths=chart_shares(before.lengths, after.lengths) if after.rows else None,
            labels=rank_changes(before.labels, after.labels),
            characters=rank_changes(*characters),
            outside=OUTSIDE,
        )


def rank_changes(
    first: Mapping[str, int] | None, second: Mapping[str, int] | None
) -> list[tuple[str, float, float]] | None:
    """Return the values whose shares changed most, each with both shares; None without counts."""
    if not first or not second:
        return None
    totals = sum(first.values()), sum(second.values())
    shares = [
        (value, first.get(value, 0) / totals[0], second.get(value, 0) / totals[1])
        for value in dict.fromkeys([*first, *second])
    ]
    return sorted(shares, key=lambda each: (-abs(each[2] - each[1]), each[0]))[:_SHOWN]


def chart_shares(first: Mapping[int, int], second: Mapping[int, int]) -> Chart:
    """Return a chart of the shares of rows that are not longer than each length."""
    longest = max([*first, *second])
    curves = {}
    for kind, lengths in (("train", first), ("validation", second)):
        counts = [lengths.get(length, 0) for length in range(longest + 1)]
        total = sum(counts)
        curves[kind] = [
            (100 * length / longest, rows / total) for length, rows in enumerate(accumulate(counts))
        ]
    ticks = [(100 * length / longest, f"{length:,}") for length in round_counts(longest, 8)]
    return Chart("Rows up to a length", 0, 1, PERCENT_LEVELS, ticks, curves=curves)

"""Rejected rows: their place in the input, and the JSON that is written of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from charseq.console.redaction import redact
from pipeline.formats.parsed_rows import BadRow
from pipeline.rows.parts import Part

EXAMPLES_PER_REASON = 3
_EXAMPLE_CHARACTERS = 60


class RejectedRow(NamedTuple):
    """A rejected row: the index of its part, its number there from 0, the reason, its text."""

    part: int
    row: int
    reason: str
    raw: str

    def to_json(self, parts: Sequence[Part], first: Sequence[int]) -> dict[str, object]:
        """Return file, number in the file, reason and text of the row; `first` as `first_rows`."""
        return {
            "source": redact(parts[self.part].source.path),
            "row": first[self.part] + self.row,
            "reason": self.reason,
            "raw": self.raw,
        }


def locate_rejected(part: Part, bad: Iterable[BadRow]) -> list[RejectedRow]:
    """Return rejected rows of a part with the index of the part."""
    return [RejectedRow(part.index, row.row, row.reason, row.raw) for row in bad]


def first_rows(parts: Sequence[Part], rows_in_part: Mapping[int, int]) -> list[int]:
    """Return the row number in its file at which each part begins.

    Args:
        parts: all parts of the input.
        rows_in_part: how many row numbers each part uses, by its index.
    """
    first: list[int] = []
    for part in parts:
        previous = parts[part.index - 1] if part.index else None
        if previous is None or previous.source.path != part.source.path:
            first.append(part.source.header.first_row)
        else:
            first.append(first[-1] + rows_in_part[previous.index])
    return first


def choose_examples(rejected: Iterable[RejectedRow]) -> list[RejectedRow]:
    """Return the first few rejected rows of each reason, their text shortened."""
    seen: Counter[str] = Counter()
    examples = []
    for row in sorted(rejected):
        seen[row.reason] += 1
        if seen[row.reason] <= EXAMPLES_PER_REASON:
            examples.append(row._replace(raw=row.raw[:_EXAMPLE_CHARACTERS]))
    return examples


def describe_rejected(by_reason: Mapping[str, int]) -> str:
    """Return a user-facing text of how many rows were rejected, by reason."""
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in by_reason.items())
    return f"rejected {sum(by_reason.values()):,}" + (f" ({reasons})" if reasons else "")

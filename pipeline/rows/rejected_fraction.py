"""How many rows may be rejected, and the message where there are more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from charseq.errors import DataError, MismatchError
from pipeline.columns.read import ZERO_WEIGHT
from pipeline.rows.counts import ReadCounts
from pipeline.rows.parts import Part
from pipeline.rows.rejected import first_rows
from pipeline.rows.validation import REASONS


def check_rejected_fraction(
    counts: ReadCounts,
    parts: Sequence[Part],
    max_fraction: float,
    later: Mapping[str, tuple[int, Sequence[str]]] | None = None,
) -> None:
    """Refuse an input of which more than `--max-rejected-fraction` is rejected.

    Rows of weight 0 do not count: to leave them out is what their weight says.

    Args:
        counts: of all rows.
        parts: all parts of the input.
        max_fraction: the value of the flag.
        later: rows that will be rejected besides those of `counts`, and lines about them, by
            reason.

    Raises:
        DataError: with the count of each reason and some examples of it.
    """
    later = later or {}
    rejected = counts.rejected + Counter({reason: rows for reason, (rows, _) in later.items()})
    if rejected.total() - rejected[ZERO_WEIGHT] <= max_fraction * counts.read:
        return
    lines = [
        f"{rejected.total()} of {counts.read} rows are rejected, more than "
        f"--max-rejected-fraction {max_fraction:g} allows; nothing was written"
    ]
    for reason, count in rejected.most_common():
        _, about = later.get(reason, (0, ()))
        lines += [_describe_reason(reason, count), *about, *_examples(reason, counts, parts)]
    raise DataError("\n".join(lines))


def check_any_usable(counts: ReadCounts, parts: Sequence[Part]) -> None:
    """Refuse an input of which every row is rejected.

    Raises:
        MismatchError: with the count of each reason and some examples of it.
    """
    if counts.usable or not counts.read:
        return
    lines = [f"all {counts.read:,} rows are rejected; nothing was written"]
    for reason, count in counts.rejected.most_common():
        lines += [_describe_reason(reason, count), *_examples(reason, counts, parts)]
    raise MismatchError("\n".join(lines))


def _describe_reason(reason: str, count: int) -> str:
    return f"  {count} {reason} ({REASONS[reason]}), such as"


def _examples(reason: str, counts: ReadCounts, parts: Sequence[Part]) -> Iterator[str]:
    first = first_rows(parts, counts.rows_in_part)
    for example in counts.examples:
        if example.reason == reason:
            row = example.to_json(parts, first)
            yield f"    {row['source']}, row {row['row']}: {row['raw']!r}"

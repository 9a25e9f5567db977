"""The limits of an input: how many rows may be rejected, and how many labels there may be."""

from __future__ import annotations

from collections.abc import Sequence

from charseq.errors import DataError
from pipeline.options import Options
from pipeline.rows.counts import MAX_COUNTED_LABELS, ReadCounts
from pipeline.rows.parts import Part
from pipeline.rows.rejected import first_rows
from pipeline.rows.validation import REASONS


def check_label_count(num_labels: int, options: Options) -> None:
    """Refuse an input whose label column holds something else: the text of every row, or ids.

    Raises:
        DataError: the train rows have more labels than `--max-labels`.
    """
    if num_labels > options.max_labels:
        more = "at least " if num_labels == MAX_COUNTED_LABELS else ""
        raise DataError(
            f"the train rows have {more}{num_labels:,} different labels, more than --max-labels "
            f"{options.max_labels:,} allows; {label_flag_hint(options)}"
        )


def label_flag_hint(options: Options) -> str:
    """Return the question that ends the message of an error about labels."""
    if options.label_from:
        return f"is {options.label_from!r} the right --label-from?"
    return f"is {options.label_column!r} the right --label-column?"


def check_rejected_fraction(counts: ReadCounts, parts: Sequence[Part], options: Options) -> None:
    """Refuse an input of which more than `--max-rejected-fraction` is rejected.

    Raises:
        DataError: with the count of each reason and some examples of it.
    """
    rejected = counts.rejected.total()
    if rejected <= options.max_rejected_fraction * counts.read:
        return
    first = first_rows(parts, counts.rows_in_part)
    lines = [
        f"{rejected} of {counts.read} rows are rejected, more than --max-rejected-fraction "
        f"{options.max_rejected_fraction:g} allows; nothing was written"
    ]
    for reason, count in counts.rejected.most_common():
        lines.append(f"  {count} {reason} ({REASONS[reason]}), such as")
        for example in counts.examples:
            if example.reason == reason:
                row = example.to_json(parts, first)
                lines.append(f"    {row['source']}, row {row['row']}: {row['raw']!r}")
    raise DataError("\n".join(lines))

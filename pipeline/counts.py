"""What was read, counted batch by batch; counts of batches add up to those of the input."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pipeline.checks import REASONS
from pipeline.errors import DataError
from pipeline.options import Options
from pipeline.rejects import Rejected, as_json, choose_examples, first_rows
from pipeline.sources import Part

_SHOWN_CHARACTERS = 60


@dataclass(frozen=True)
class ReadCounts:
    """Rows read, and what became of them.

    usable: not rejected so far. train: usable and in the train split. rows_in_part: row numbers
    used by each part, from which the row number in the file follows. lengths: of the sequences
    before the cut, see `count_lengths`.
    """

    usable: int = 0
    train: int = 0
    truncated: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    examples: list[Rejected] = field(default_factory=list)
    rows_in_part: Counter[int] = field(default_factory=Counter)
    lengths: Counter[int] = field(default_factory=Counter)

    @property
    def read(self) -> int:
        """All rows there were."""
        return self.usable + self.rejected.total()


def add_counts(counts: Iterable[ReadCounts]) -> ReadCounts:
    """The sum."""
    usable = train = truncated = 0
    rejected: Counter[str] = Counter()
    rows_in_part: Counter[int] = Counter()
    lengths: Counter[int] = Counter()
    examples: list[Rejected] = []
    for one in counts:
        usable += one.usable
        train += one.train
        truncated += one.truncated
        rejected.update(one.rejected)
        rows_in_part.update(one.rows_in_part)
        lengths.update(one.lengths)
        examples += one.examples
    return ReadCounts(
        usable, train, truncated, rejected, choose_examples(examples), rows_in_part, lengths
    )


def require_few_rejected(counts: ReadCounts, parts: Sequence[Part], options: Options) -> None:
    """Refuse an input of which too much is rejected.

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
                row = as_json(example, parts, first)
                text = example.raw[:_SHOWN_CHARACTERS]
                lines.append(f"    {row['source']}, row {row['row']}: {text!r}")
    raise DataError("\n".join(lines))

"""What was read, counted batch by batch; counts of batches add up to those of the input."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from charseq.errors import DataError
from pipeline.options import Options
from pipeline.rows.hashing import hash_sequences
from pipeline.rows.rejected import Rejected, as_json, choose_examples, first_rows
from pipeline.rows.sources import Part
from pipeline.rows.validation import REASONS

# So many are counted exactly, in 16 MB; of more than that no number matters.
MAX_COUNTED_LABELS = 1 << 21


def _no_labels() -> npt.NDArray[np.uint64]:
    return np.zeros(0, np.uint64)


@dataclass(frozen=True)
class ReadCounts:
    """Rows read, and what became of them.

    usable: not rejected so far. train: usable and in the train split. rows_in_part: row numbers
    used by each part, from which the row number in the file follows. lengths: of the sequences
    before the cut, see `count_lengths`. train_labels: the hashes of the labels of train rows,
    (k,) uint64, ascending, the least `MAX_COUNTED_LABELS` of them.
    """

    usable: int = 0
    train: int = 0
    truncated: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    examples: list[Rejected] = field(default_factory=list)
    rows_in_part: Counter[int] = field(default_factory=Counter)
    lengths: Counter[int] = field(default_factory=Counter)
    train_labels: npt.NDArray[np.uint64] = field(default_factory=_no_labels)

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
    labels = [_no_labels()]
    for one in counts:
        usable += one.usable
        train += one.train
        truncated += one.truncated
        rejected.update(one.rejected)
        rows_in_part.update(one.rows_in_part)
        lengths.update(one.lengths)
        examples += one.examples
        labels.append(one.train_labels)
    return ReadCounts(
        usable,
        train,
        truncated,
        rejected,
        choose_examples(examples),
        rows_in_part,
        lengths,
        np.unique(np.concatenate(labels))[:MAX_COUNTED_LABELS],
    )


def count_labels(label: pa.StringArray) -> npt.NDArray[np.uint64]:
    """`ReadCounts.train_labels` of the labels (n,) string, none empty."""
    return np.unique(hash_sequences(pc.unique(label), seed=0))[:MAX_COUNTED_LABELS]


def check_label_count(found: int, options: Options) -> None:
    """Refuse an input whose label column is not one: the labels are text of every row, or ids.

    Raises:
        DataError: the train rows have more than `--max-labels` labels: `found` of them.
    """
    if found > options.max_labels:
        more = "at least " if found == MAX_COUNTED_LABELS else ""
        raise DataError(
            f"the train rows have {more}{found:,} different labels, more than --max-labels "
            f"{options.max_labels:,} allows; {label_flag_hint(options)}"
        )


def label_flag_hint(options: Options) -> str:
    """The question to ask where labels are wrong."""
    if options.label_from:
        return f"is {options.label_from!r} the right --label-from?"
    return f"is {options.label_column!r} the right --label-column?"


def check_rejected_fraction(counts: ReadCounts, parts: Sequence[Part], options: Options) -> None:
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
                lines.append(f"    {row['source']}, row {row['row']}: {row['raw']!r}")
    raise DataError("\n".join(lines))

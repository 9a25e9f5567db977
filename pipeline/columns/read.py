"""The columns of rows beside sequence and label: of their splits, groups and weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from charseq.text.normalization import BLANKS
from pipeline.columns.splits import NO_SPLIT, Places, find_splits, find_splits_by_time
from pipeline.columns.weights import is_zero, parse_weights
from pipeline.formats.parsed_rows import invalid_utf8
from pipeline.input_options import WEIGHT_COLUMN
from pipeline.split_options import GROUP_COLUMN, SPLIT_COLUMN, TIME_COLUMN, SplitOptions

Bools = npt.NDArray[np.bool_]
# Takes a reason to reject rows, and to which of n rows it applies, (n,) bool.
AddReason = Callable[[str, Bools], None]

# Rows of this reason do not count in --max-rejected-fraction.
ZERO_WEIGHT = "zero_weight"


@dataclass(frozen=True)
class OtherColumns:
    """Columns of n rows, each None where it is not wanted.

    split: (n,) int8, the place in SPLITS by --split-column or --time-column. group: (n,) string, of
    --group-column. weight: (n,) float64, of --weight-column.
    """

    split: Places | None = None
    group: pa.StringArray | None = None
    weight: npt.NDArray[np.float64] | None = None

    def filter(self, kept: Bools) -> OtherColumns:
        """Return the rows of a mask (n,)."""
        return OtherColumns(
            None if self.split is None else self.split[kept],
            None if self.group is None else self.group.filter(pa.array(kept)),
            None if self.weight is None else self.weight[kept],
        )


def read_columns(
    columns: Mapping[str, pa.BinaryArray], splits: SplitOptions, add_reason: AddReason
) -> OtherColumns:
    """Return the columns of n rows; those of rows to reject have any value.

    Args:
        columns: as they are in the file, (n,) binary each, by flag.
        splits: how the splits of rows are found.
        add_reason: called with each reason to reject rows.
    """
    split = group = weight = None
    if SPLIT_COLUMN in columns:
        split = find_splits(columns[SPLIT_COLUMN], splits.split_of_value)
        add_reason("unknown_split", split == NO_SPLIT)
    if TIME_COLUMN in columns:
        split = find_splits_by_time(columns[TIME_COLUMN], *splits.times)
        add_reason("unreadable_time", split == NO_SPLIT)
    if GROUP_COLUMN in columns:
        group = _read_groups(columns[GROUP_COLUMN], add_reason)
    if WEIGHT_COLUMN in columns:
        weight = parse_weights(columns[WEIGHT_COLUMN])
        add_reason("invalid_weight", np.isnan(weight))
        add_reason(ZERO_WEIGHT, is_zero(weight))
    return OtherColumns(split, group, weight)


def _read_groups(column: pa.BinaryArray, add_reason: AddReason) -> pa.StringArray:
    is_invalid = invalid_utf8(column)
    add_reason("invalid_utf8", is_invalid)
    text = pc.if_else(pa.array(is_invalid), pa.scalar(b"", pa.binary()), column).cast(pa.string())
    group = pc.utf8_trim(text.fill_null(""), BLANKS)
    add_reason("missing_group", pc.equal(group, "").to_numpy(zero_copy_only=False))
    return group

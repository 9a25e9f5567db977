"""What a block of rows tells about splits that depend on other rows."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from pipeline.split import given, groups, strata
from pipeline.split.plan import Hashes
from pipeline.split_options import SplitOptions


def pack_facts(
    rows: pa.RecordBatch, hashes: Hashes, options: SplitOptions
) -> Iterator[tuple[int, bytes]]:
    """Yield the facts of n rows by ranges of hashes, for `pipeline.split.joins`.

    Args:
        rows: n usable rows, with the columns `label`, `split` and `group`.
        hashes: of their sequences as they are cut, (n,) uint64.
        options: how splits are found.
    """
    if options.stratify:
        return strata.pack_facts(hashes, rows["label"])
    if options.group_column is not None:
        return groups.pack_facts(hashes, rows["group"].to_numpy())
    return given.pack_facts(hashes, rows["split"].to_numpy())

"""What a block of rows tells about splits that depend on other rows."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from pipeline.options import Options
from pipeline.similar.pairs import pack_keys
from pipeline.split import given, groups, strata
from pipeline.split.plan import Hashes


def pack_facts(
    rows: pa.RecordBatch, sequence: pa.StringArray, hashes: Hashes, options: Options
) -> Iterator[tuple[int, bytes]]:
    """Yield the facts of n rows by ranges of hashes, for `pipeline.split.joins`.

    Args:
        rows: n usable rows, with the columns `label`, `split` and `group`.
        sequence: their sequences as they are cut, (n,) string.
        hashes: of these, (n,) uint64.
        options: of the preparation.
    """
    if options.splits.stratify:
        return strata.pack_facts(hashes, rows["label"])
    if options.splits.group_column is not None:
        return groups.pack_facts(hashes, rows["group"].to_numpy())
    if options.splits.similar is not None:
        return pack_keys(hashes, sequence, options.identity, options.range_bits)
    return given.pack_facts(hashes, rows["split"].to_numpy())

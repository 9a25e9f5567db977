"""The rows of a shard that a base does not have yet."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from pipeline.options import Options
from pipeline.shards.index import hash_pairs
from pipeline.shards.known_rows import find_known
from pipeline.shards.ordering import OrderedRows

_MAX_NAMED = 20


class AddedRows(NamedTuple):
    """Rows that are new, and what the base has of the others.

    known_rows: how many it has, which count as duplicates. num_relabelled, relabelled: new rows of
    sequences that it has under another label, and some of these, sequence and label.
    """

    rows: OrderedRows
    known_rows: int = 0
    num_relabelled: int = 0
    relabelled: tuple[tuple[str, str], ...] = ()


def add_to_base(ordered: OrderedRows, split: str, options: Options) -> AddedRows:
    """Return the rows of a split that the base of the options does not have; all without one.

    Raises:
        DataError: an index of the base cannot be read, or has changed.
    """
    if options.added_to is None:
        return AddedRows(ordered)
    rows, hashes = ordered.rows, ordered.hashes
    pairs = hash_pairs(hashes, rows["label"], options.seed)
    is_row, is_sequence = find_known(options.added_to, split, hashes, pairs)
    is_relabelled = is_sequence & ~is_row
    some = rows.take(pa.array(np.flatnonzero(is_relabelled)[:_MAX_NAMED]))
    known = int(np.count_nonzero(is_row))
    # Sequences with several labels among the new rows are counted already.
    is_alone = np.append(True, hashes[1:] != hashes[:-1])[: len(hashes)]
    is_alone &= np.append(is_alone[1:], True)[: len(hashes)]
    new = OrderedRows(
        rows.filter(pa.array(~is_row)),
        hashes[~is_row],
        ordered.duplicates + known,
        ordered.ambiguous + int(np.count_nonzero(is_relabelled & is_alone)),
        ordered.most_ambiguous,
    )
    named = zip(some["sequence"].to_pylist(), some["label"].to_pylist(), strict=True)
    return AddedRows(new, known, int(np.count_nonzero(is_relabelled)), tuple(named))

"""Which labels a dataset has: rare ones rejected or joined, and those without a train row."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.options import Options
from pipeline.rows.label_counts import LabelCounts, add_label_counts, hash_labels
from pipeline.transform.encoding import from_analyzed, to_analyze


class ChosenLabels(NamedTuple):
    """The labels of an input with their rows.

    rare: those with fewer rows than `--min-label-rows`, which are rejected or joined. known: those
    of the dataset. unseen: those without a train row, which are rejected.
    """

    rare: LabelCounts
    known: LabelCounts
    unseen: LabelCounts


def choose_labels(counts: LabelCounts, options: Options) -> ChosenLabels:
    """Return which labels become labels of the dataset, from the counts of all usable rows."""
    is_rare = counts.total < options.min_label_rows
    rare, kept = counts.where(is_rare), counts.where(~is_rare)
    if options.rare_label_as is not None:
        kept = add_label_counts([kept, rare.joined(options.rare_label_as)])
    seen = kept.is_in_train
    if options.added_to is not None:
        seen |= np.isin(kept.hash, hash_labels(pa.array(options.added_to.labels)))
    return ChosenLabels(rare, kept.where(seen), kept.where(~seen))


def find_rare(label: pa.StringArray, rare: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
    """Return which labels are rare: (n,) string to (n,) bool.

    Args:
        label: (n,) string, none of them empty.
        rare: (k,) uint64, the hashes of the rare labels.
    """
    encoded = label.dictionary_encode()
    is_rare = np.isin(hash_labels(encoded.dictionary), rare)
    return is_rare[encoded.indices.to_numpy()]  # type: ignore[no-any-return]


def rename(label: pa.StringArray, chosen: npt.NDArray[np.bool_], name: str) -> pa.StringArray:
    """Return the labels with `name` in place of those for which `chosen`, (n,) bool, is true."""
    return pc.if_else(pa.array(chosen), pa.scalar(name, pa.string()), label)


def without_rare(batch: pa.RecordBatch, counts: LabelCounts, options: Options) -> pa.RecordBatch:
    """Return train rows for TFT to analyze, with rare labels joined or their rows left out.

    No row is left if the labels are more than `--max-labels`: the plan refuses the input then.

    Args:
        batch: rows as `to_analyze` returns them.
        counts: of all usable rows.
        options: the options of the preparation.
    """
    chosen = choose_labels(counts, options)
    if len(chosen.known) > options.max_labels:
        return batch.slice(0, 0)
    sequence, label = from_analyzed(batch)
    is_rare = find_rare(label, chosen.rare.hash)
    if options.rare_label_as is not None:
        return to_analyze(sequence, rename(label, is_rare, options.rare_label_as))
    keep = pa.array(~is_rare)
    return to_analyze(sequence.filter(keep), label.filter(keep))

"""The steps that measure, with --similar, how many rows still have a similar train row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.pvalue import AsIter, AsSingleton

from pipeline.dataset.checking import UsableRows, cut
from pipeline.options import Options
from pipeline.rows.hashing import hash_sequences, mix
from pipeline.rows.packing import unpack_batch
from pipeline.runtime import progress
from pipeline.runtime.threads import ThreadedDoFn
from pipeline.shards.partition import assign_splits
from pipeline.similar.leak import (
    Hashes,
    Identities,
    Roles,
    Sample,
    add_samples,
    count_leaks,
    find_nearest,
    take_sample,
)
from pipeline.split.given import TRAIN
from pipeline.split.plan import SplitPlan


def measure_leak(rows: beam.PCollection, splits: AsSingleton, options: Options) -> beam.PCollection:
    """Return the Leaks of `count_leaks` in one list; splits: the SplitPlan of --similar."""
    sample = AsSingleton(
        rows
        | "SampleRows" >> beam.ParDo(SampleRows(options), splits)
        | "AddSamples" >> beam.CombineGlobally(add_samples)
    )
    nearest = rows | "FindNearest" >> beam.ParDo(FindNearest(options), splits, sample)
    return (
        rows.pipeline
        | "LeaksOnce" >> beam.Create([None])
        | "CountLeaks"
        >> beam.Map(
            lambda _, sampled, found: count_leaks(
                sampled, found, float(options.identity.threshold)
            ),
            sample,
            AsIter(nearest),
        )
    )


class SampleRows(ThreadedDoFn):
    """UsableRows to a Sample of those that models are measured with."""

    def __init__(self, options: Options) -> None:
        self._options = options

    def process(self, rows: UsableRows, splits: SplitPlan) -> Iterator[Sample]:
        """See the class."""
        yield from self.submit(_sample, rows, splits, self._options)


class FindNearest(ThreadedDoFn):
    """UsableRows to the identities of those train rows among them that are nearest to a sample."""

    def __init__(self, options: Options) -> None:
        self._options = options

    def process(self, rows: UsableRows, splits: SplitPlan, sample: Sample) -> Iterator[Identities]:
        """See the class."""
        yield from self.submit(_nearest, rows, splits, sample, self._options)


class _RowsWithRoles(NamedTuple):
    hashes: Hashes
    sequence: pa.StringArray
    roles: Roles


def _sample(usable: UsableRows, splits: SplitPlan, options: Options) -> Sample:
    rows = _find_roles(usable, splits, options)
    # Ordered by the hash itself, sequences that a cluster has moved would come first.
    return take_sample(mix(rows.hashes), rows.sequence, rows.roles.is_measured)


def _nearest(usable: UsableRows, splits: SplitPlan, sample: Sample, options: Options) -> Identities:
    rows = _find_roles(usable, splits, options)
    nearest = find_nearest(sample, rows.sequence, rows.roles.is_train)
    progress.advance(compared=len(rows.hashes))
    return nearest


def _find_roles(usable: UsableRows, splits: SplitPlan, options: Options) -> _RowsWithRoles:
    rows = unpack_batch(usable.packed)
    sequence = cut(rows["sequence"], options)
    hashes = hash_sequences(sequence, options.seed)
    split, is_dropped = splits.assign(rows, hashes)
    both = np.stack([split, assign_splits(hashes, options.split_fractions)], axis=1)
    is_measured = both == place_to_measure(options)
    # Of folds, all parts but the one that is measured with are trained on.
    is_train = both == TRAIN if options.splits.folds is None else ~is_measured
    is_train[:, 0] &= ~is_dropped
    return _RowsWithRoles(hashes, sequence, Roles(is_measured, is_train))


def place_to_measure(options: Options) -> int:
    """Return the place of the split to measure models on: the last that has rows; of folds 0."""
    if options.splits.folds is not None:
        return 0
    return max(place for place, share in enumerate(options.split_fractions.values()) if share)

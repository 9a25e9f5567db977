"""The whole Beam graph of a preparation.

read ─▶ check ─▶ partition by hash ─▶ GroupByKey(shard) ─▶ write shard ─▶ publish
           └──▶ analyze train rows ──▶ plan ─ ┴ ─ ─ ─ ─ ─ ─ ─ ┘ side inputs

The characters of the train rows are counted beside the analysis: with --alphabet-size auto, TFT
learns as many as there may be, and the vocabulary is cut to those that are needed.

Where the split of a row depends on others (given splits, --stratify, --group-column, --similar),
train rows are known once all rows are read. What that takes is joined by ranges of hashes first.

With --base nothing is analyzed: the graph is that of the base, with the labels that are new. Rows
that it has are left out where shards are written.

With --min-label-rows, the rows of rare labels are taken out (or renamed) before the analysis, which
then waits until all rows are read and the rows of each label are known.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import apache_beam as beam
import tensorflow_transform.beam as tft_beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.pvalue import AsList, AsSingleton, DoOutputsTuple
from tensorflow_transform import TFTransformOutput
from tensorflow_transform.beam.tft_beam_io.beam_metadata_io import BeamDatasetMetadata

from pipeline.base import Base
from pipeline.dataset.dofns import (
    COUNTS,
    FACTS,
    ROWS,
    TRAIN,
    AssignRows,
    PartitionRows,
    ReadAndCheck,
    WriteShard,
)
from pipeline.dataset.labels import without_rare
from pipeline.dataset.leak import measure_leak
from pipeline.dataset.plan import make_plan
from pipeline.dataset.prepared import PreparedDataset
from pipeline.dataset.publish import new_transform_dir, publish
from pipeline.identity import choose_range_bits
from pipeline.options import AUTO, Options
from pipeline.output.staging import Staging
from pipeline.rows.counts import add_counts
from pipeline.rows.parts import Part
from pipeline.rows.rejected_files import REJECTED, write_all_rejected
from pipeline.rows.sources import Source
from pipeline.rows.spilling import Spill
from pipeline.runtime.filesystems import copy_tree
from pipeline.shards.group_index import write_group_index
from pipeline.sizes.characters import (
    add_character_counts,
    choose_alphabet_size,
    count_characters,
)
from pipeline.split.groups import add_groups, distinct_groups
from pipeline.split.joins import join_facts
from pipeline.transform.encoding import analyzer_config, encode_text
from pipeline.transform.extend import add_new_labels, count_new_labels, extend_transform
from pipeline.transform.save_graph import cut_alphabet, save_graph


class _Assigned(NamedTuple):
    """splits: the SplitPlan, None if no row's split depends on others. train: rows to analyze."""

    splits: AsSingleton | None
    train: beam.PCollection
    counts: beam.PCollection


def build(
    pipeline: beam.Pipeline,
    sources: Sequence[Source],
    parts: Sequence[Part],
    options: Options,
    staging: Staging,
    temp_dir: str,
    spill: Spill,
) -> beam.PCollection:
    """Add the preparation of `sources` to `pipeline`.

    Args:
        pipeline: where the steps are added.
        sources: the input files.
        parts: of them, what is read.
        options: the options of the preparation.
        staging: where the files are written first.
        temp_dir: where all workers, and TensorFlow in them, can write.
        spill: where rows are kept between two steps.

    Returns:
        The fingerprint of the dataset, once it is published.
    """
    options = replace(
        options, range_bits=choose_range_bits(sum(source.bytes for source in sources))
    )
    transform = new_transform_dir(staging)
    once = pipeline | "Once" >> beam.Create([None])
    read = _read_and_check(pipeline, parts, ReadAndCheck(options, spill))
    splits, train, counts = _assign(read, options)
    if options.min_label_rows > 1:
        train = train | "WithoutRare" >> beam.Map(
            lambda batch, counted: without_rare(batch, counted.labels, options), AsSingleton(counts)
        )
    characters = _count_characters(train)
    saved = (
        _analyze(train, characters, options, temp_dir, transform)
        if options.added_to is None
        else _extend(train, options.added_to, transform)
    )
    group_index = _index_groups(read[FACTS], splits, staging, options)
    leaks = _measure_leaks(read[ROWS], splits, options)
    plan = once | "Plan" >> beam.Map(
        lambda _, counted, given, of_train, _saved: make_plan(
            counted, given, of_train, transform, parts, options
        ),
        AsSingleton(counts),
        splits,
        AsSingleton(characters),
        AsList(saved),
    )
    partitioned = read[ROWS] | "Partition" >> beam.ParDo(
        PartitionRows(options, spill), AsSingleton(plan)
    ).with_outputs(REJECTED, main=ROWS)
    shards = _write_shards(partitioned[ROWS], plan, WriteShard(staging.directory, transform))
    rejected = (read[REJECTED], partitioned[REJECTED]) | "Rejected" >> beam.Flatten()
    rejected_files = write_all_rejected(rejected, counts, parts, staging.directory)
    return once | "Publish" >> beam.Map(
        lambda _, *results: publish(
            PreparedDataset(options, sources, staging, transform, *results)
        ),
        AsSingleton(counts),
        AsSingleton(plan),
        AsList(shards),
        AsList(rejected_files),
        leaks,
        group_index,
    )


def _read_and_check(
    pipeline: beam.Pipeline, parts: Sequence[Part], read: ReadAndCheck
) -> DoOutputsTuple:
    """Return the outputs of ReadAndCheck for all parts."""
    return (
        pipeline
        | "Parts" >> beam.Create(parts)
        | "Spread" >> beam.Reshuffle()
        | "ReadAndCheck" >> beam.ParDo(read).with_outputs(TRAIN, FACTS, COUNTS, REJECTED, main=ROWS)
    )


def _assign(read: DoOutputsTuple, options: Options) -> _Assigned:
    """Return what is known of all rows once each has a split."""
    counts = read[COUNTS] | "AddCounts" >> beam.CombineGlobally(add_counts)
    if not options.splits.need_all_rows:
        return _Assigned(None, read[TRAIN], counts)
    splits = AsSingleton(join_facts(read[FACTS], options))
    assigned = read[ROWS] | "AssignRows" >> beam.ParDo(AssignRows(options), splits).with_outputs(
        COUNTS, main=TRAIN
    )
    counts = counts | "AddAssigned" >> beam.Map(
        lambda of_read, of_assigned: add_counts([of_read, *of_assigned]), AsList(assigned[COUNTS])
    )
    return _Assigned(splits, assigned[TRAIN], counts)


def _index_groups(
    facts: beam.PCollection, splits: AsSingleton | None, staging: Staging, options: Options
) -> AsSingleton | None:
    """Return the staged index of groups; None without --group-column."""
    if splits is None or options.splits.group_column is None:
        return None
    index = (
        facts
        | "FindGroups" >> beam.MapTuple(lambda _, packed: distinct_groups(packed))
        | "AddGroups" >> beam.CombineGlobally(add_groups)
        | "WriteGroups"
        >> beam.Map(
            lambda groups, planned: write_group_index(
                staging.directory, groups, planned.split_of_groups(groups)
            ),
            splits,
        )
    )
    return AsSingleton(index)


def _measure_leaks(
    rows: beam.PCollection, splits: AsSingleton | None, options: Options
) -> AsSingleton | None:
    """Return the leaks with --similar and without; None where it is not asked for."""
    if splits is None or options.splits.similar is None:
        return None
    return AsSingleton(measure_leak(rows, splits, options))


def _count_characters(train: beam.PCollection) -> beam.PCollection:
    """Return the CharacterCounts of the rows that TFT analyzes."""
    return (
        train
        | "CountCharacters" >> beam.Map(lambda batch: count_characters(batch["sequence"].flatten()))
        | "AddCharacters" >> beam.CombineGlobally(add_character_counts)
    )


def _analyze(
    train: beam.PCollection,
    characters: beam.PCollection,
    options: Options,
    temp_dir: str,
    transform_dir: str,
) -> beam.PCollection:
    """Analyze the train rows and save the graph; return an element for each part written."""
    with tft_beam.Context(temp_dir=temp_dir):
        graph, metadata = (train, analyzer_config()) | "Analyze" >> tft_beam.AnalyzeDataset(
            partial(encode_text, options=options)
        )
    if options.alphabet_size == AUTO:
        graph = graph | "CutAlphabet" >> beam.Map(
            lambda path, counted: cut_alphabet(
                path, choose_alphabet_size(counted, options.num_characters)
            ),
            AsSingleton(characters),
        )
    return _save_transform((graph, metadata), temp_dir, transform_dir)


def _extend(train: beam.PCollection, base: Base, transform_dir: str) -> beam.PCollection:
    """Write the graph of a base with the labels that only the train rows have."""
    new = (
        train
        | "CountNewLabels" >> beam.Map(count_new_labels, base)
        | "AddNewLabels" >> beam.CombineGlobally(add_new_labels)
    )
    return new | "Extend" >> beam.Map(
        lambda counts: os.fsencode(extend_transform(base, counts, transform_dir))
    )


def _save_transform(
    analyzed: tuple[beam.PCollection, BeamDatasetMetadata], temp_dir: str, directory: str
) -> beam.PCollection:
    """Write what TFT learned as TFTransformOutput reads it; return an element for each part.

    tft_beam.WriteTransformFn moves its files at the end, and fails where a runner repeats that.
    Here TensorFlow writes to `temp_dir`, and Beam copies to `directory`, also onto a store.
    """
    graph, metadata = analyzed
    graph_dir = FileSystems.join(directory, TFTransformOutput.TRANSFORM_FN_DIR)
    metadata_dir = FileSystems.join(directory, TFTransformOutput.TRANSFORMED_METADATA_DIR)
    # Elements of bytes: Beam's text is UTF-8, which names of directories need not be.
    return (
        graph | "SaveGraph" >> beam.Map(lambda path: os.fsencode(save_graph(path, graph_dir))),
        metadata
        | "WriteMetadata"
        >> tft_beam.WriteMetadata(
            FileSystems.join(temp_dir, "metadata"),
            graph.pipeline,
            write_to_unique_subdirectory=True,
        )
        | "SaveMetadata" >> beam.Map(lambda path: os.fsencode(copy_tree(path, metadata_dir))),
    ) | "Saved" >> beam.Flatten()


def _write_shards(
    rows: beam.PCollection, plan: beam.PCollection, write: WriteShard
) -> beam.PCollection:
    """Return a ShardSummary for every shard of the plan, also for one without a row."""
    every_shard = plan | "EveryShard" >> beam.FlatMap(
        lambda planned: [(number, b"") for number in range(len(planned.partition.shards))]
    )
    return (
        (rows, every_shard)
        | "Rows" >> beam.Flatten()
        | "GroupByShard" >> beam.GroupByKey()
        | "WriteShard" >> beam.ParDo(write, AsSingleton(plan))
    )

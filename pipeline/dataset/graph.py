"""The whole Beam graph.

read ─▶ check ─▶ partition by hash ─▶ GroupByKey(shard) ─▶ write shard ─▶ publish
           └──▶ analyze train rows ──▶ plan ─ ┴ ─ ─ ─ ─ ─ ─ ─ ┘ side inputs
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import apache_beam as beam
import tensorflow_transform.beam as tft_beam
from apache_beam.pvalue import AsList, AsSingleton

from pipeline.dataset.dofns import (
    COUNTS,
    ROWS,
    TRAIN,
    PartitionRows,
    ReadAndCheck,
    WriteShard,
    save_transform,
)
from pipeline.dataset.encoding import analyzer_config, encode_text
from pipeline.dataset.plan import make_plan
from pipeline.dataset.publish import publish, transform_dir
from pipeline.options import Options
from pipeline.rows.counts import add_counts
from pipeline.rows.parts import cut_into_parts
from pipeline.rows.rejected_files import REJECTED, write_all_rejected
from pipeline.rows.sources import Source
from pipeline.runtime.staging import staging_dir


def build(
    pipeline: beam.Pipeline, sources: Sequence[Source], options: Options, temp_dir: str
) -> beam.PCollection:
    """Add the preparation of `sources` to `pipeline`; the result is the fingerprint.

    The directory `staging_dir(options.output)` must exist. All workers and their TensorFlow must be
    able to write to `temp_dir`.
    """
    parts = cut_into_parts(sources)
    staging, transform = staging_dir(options.output), transform_dir(options.output)
    once = pipeline | "Once" >> beam.Create([None])

    read = (
        pipeline
        | "Parts" >> beam.Create(parts)
        | "Spread" >> beam.Reshuffle()
        | "ReadAndCheck"
        >> beam.ParDo(ReadAndCheck(options)).with_outputs(TRAIN, COUNTS, REJECTED, main=ROWS)
    )
    counts = read[COUNTS] | "AddCounts" >> beam.CombineGlobally(add_counts)

    with tft_beam.Context(temp_dir=temp_dir):
        analyzed = (read[TRAIN], analyzer_config()) | "Analyze" >> tft_beam.AnalyzeDataset(
            partial(encode_text, options=options)
        )
    saved = save_transform(analyzed, temp_dir, transform)
    plan = once | "Plan" >> beam.Map(
        lambda _, counted, _saved: make_plan(counted, transform, parts, options),
        AsSingleton(counts),
        AsList(saved),
    )

    partitioned = read[ROWS] | "Partition" >> beam.ParDo(
        PartitionRows(options), AsSingleton(plan)
    ).with_outputs(REJECTED, main=ROWS)
    every_shard = plan | "EveryShard" >> beam.FlatMap(
        lambda planned: [(number, b"") for number in range(len(planned.partition.shards))]
    )
    shards = (
        (partitioned[ROWS], every_shard)
        | "Rows" >> beam.Flatten()
        | "GroupByShard" >> beam.GroupByKey()
        | "WriteShard" >> beam.ParDo(WriteShard(staging, transform, options), AsSingleton(plan))
    )
    rejected = (read[REJECTED], partitioned[REJECTED]) | "Rejected" >> beam.Flatten()
    rejected_files = write_all_rejected(rejected, counts, parts, staging)
    return once | "Publish" >> beam.Map(
        lambda _, *found: publish(options, sources, transform, *found),
        AsSingleton(counts),
        AsSingleton(plan),
        AsList(shards),
        AsList(rejected_files),
    )

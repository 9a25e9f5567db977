"""The whole Beam graph of a batch prediction.

read ─▶ check ─▶ classify ─▶ GroupByKey(part) ─▶ write the part's predictions ─▶ publish
"""

from __future__ import annotations

from collections.abc import Sequence

import apache_beam as beam
from apache_beam.pvalue import AsList, AsSingleton

from pipeline.output.staging import Staging
from pipeline.predict.dofns import COUNTS, ROWS, Predict, WritePart
from pipeline.predict.model import Model
from pipeline.predict.options import PredictOptions
from pipeline.predict.publish import PreparedPredictions, publish_predictions
from pipeline.rows.counts import add_counts
from pipeline.rows.parts import Part, cut_into_parts
from pipeline.rows.rejected import first_rows
from pipeline.rows.rejected_files import REJECTED, write_all_rejected
from pipeline.rows.sources import Source


def build(
    pipeline: beam.Pipeline,
    sources: Sequence[Source],
    model: Model,
    options: PredictOptions,
    staging: Staging,
) -> beam.PCollection:
    """Add the prediction of `sources` to `pipeline`; the files are first written to `staging`."""
    parts = cut_into_parts(sources)
    read = (
        pipeline
        | "Parts" >> beam.Create(parts)
        | "Spread" >> beam.Reshuffle()
        | "Predict"
        >> beam.ParDo(Predict(model, options.trust_model)).with_outputs(COUNTS, REJECTED, main=ROWS)
    )
    counts = read[COUNTS] | "AddCounts" >> beam.CombineGlobally(add_counts)
    files = _write_parts(pipeline, read[ROWS], counts, parts, staging.directory)
    rejected_files = write_all_rejected(read[REJECTED], counts, parts, staging.directory)
    return (
        pipeline
        | "Once" >> beam.Create([None])
        | "Publish"
        >> beam.Map(
            lambda _, *results: publish_predictions(
                PreparedPredictions(options, model, sources, staging, *results)
            ),
            AsSingleton(counts),
            AsList(files),
            AsList(rejected_files),
        )
    )


def _write_parts(
    pipeline: beam.Pipeline,
    rows: beam.PCollection,
    counts: beam.PCollection,
    parts: Sequence[Part],
    staging: str,
) -> beam.PCollection:
    """Return a PredictedFile for every part, also for one without a usable row."""
    first = counts | "FirstRows" >> beam.Map(lambda added: first_rows(parts, added.rows_in_part))
    every_part = pipeline | "EveryPart" >> beam.Create([(part.index, None) for part in parts])
    return (
        (rows, every_part)
        | "Rows" >> beam.Flatten()
        | "GroupByPart" >> beam.GroupByKey()
        | "WritePart" >> beam.ParDo(WritePart(parts, staging), AsSingleton(first))
    )

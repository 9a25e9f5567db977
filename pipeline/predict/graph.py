"""The whole Beam graph of a batch prediction.

read ─▶ check ─▶ classify ─▶ GroupByKey(part) ─▶ write the part's predictions ─▶ publish
                                                 ┴ side input: counts, checked
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import apache_beam as beam
from apache_beam.pvalue import AsList, AsSingleton

from pipeline.compare.rows import add_rows
from pipeline.output.staging import Staging
from pipeline.predict.characters import CharacterCounts, add_characters, check_characters
from pipeline.predict.dofns import CHARACTERS, COMPARED, COUNTS, LABELLED, ROWS, Predict, WritePart
from pipeline.predict.evaluation import add_labelled
from pipeline.predict.model import Model
from pipeline.predict.options import PredictOptions
from pipeline.predict.publish import PreparedPredictions, publish_predictions
from pipeline.predict.sets import SetRule
from pipeline.rows.assumed_columns import check_assumed
from pipeline.rows.counts import ReadCounts, add_counts
from pipeline.rows.parts import Part, cut_into_parts
from pipeline.rows.rejected import first_rows
from pipeline.rows.rejected_files import REJECTED, write_all_rejected
from pipeline.rows.rejected_fraction import check_any_usable, check_rejected_fraction
from pipeline.rows.sources import Source
from pipeline.rows.spilling import Spill


def build(
    pipeline: beam.Pipeline,
    sources: Sequence[Source],
    model: Model,
    options: PredictOptions,
    staging: Staging,
    spill: Spill,
    rule: SetRule | None = None,
) -> beam.PCollection:
    """Add the prediction of `sources` to `pipeline`; the files are first written to `staging`.

    spill: where predicted rows are kept between two steps. rule: of sets of labels, if the options
    want them.
    """
    parts = cut_into_parts(sources)
    columns = options.columns.of_model(len(model.labels))
    read = (
        pipeline
        | "Parts" >> beam.Create(parts)
        | "Spread" >> beam.Reshuffle()
        | "Predict"
        >> beam.ParDo(
            Predict(
                model,
                options.trust_model,
                columns,
                spill,
                has_labels=options.label_column is not None,
                compares=options.compare,
                rule=rule,
            )
        ).with_outputs(CHARACTERS, COMPARED, COUNTS, LABELLED, REJECTED, main=ROWS)
    )
    counts = read[COUNTS] | "AddCounts" >> beam.CombineGlobally(add_counts)
    characters = read[CHARACTERS] | "AddCharacters" >> beam.CombineGlobally(add_characters)
    labelled = read[LABELLED] | "AddLabelled" >> beam.CombineGlobally(partial(add_labelled, model))
    compared = read[COMPARED] | "AddCompared" >> beam.CombineGlobally(add_rows)
    first = counts | "Check" >> beam.Map(
        lambda added, known: _check_counts(added, known, parts, model, options),
        AsSingleton(characters),
    )
    write = WritePart(parts, staging.directory, columns)
    files = _write_parts(pipeline, read[ROWS], first, parts, write)
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
            AsSingleton(characters),
            AsSingleton(labelled),
            AsSingleton(compared),
            AsList(files),
            AsList(rejected_files),
        )
    )


def _check_counts(
    counts: ReadCounts,
    characters: CharacterCounts,
    parts: Sequence[Part],
    model: Model,
    options: PredictOptions,
) -> list[int]:
    """Check what was read, before anything is written; return the row at which each part begins.

    Raises:
        DataError: a file lacks a column, or too many rows are rejected.
        MismatchError: all of them are, or the model does not know the characters of most rows.
    """
    check_assumed(counts, parts, options.input_options)
    check_any_usable(counts, parts)
    check_rejected_fraction(counts, parts, options.max_rejected_fraction)
    check_characters(characters, model.directory, model.alphabet)
    return first_rows(parts, counts.rows_in_part)


def _write_parts(
    pipeline: beam.Pipeline,
    rows: beam.PCollection,
    first: beam.PCollection,
    parts: Sequence[Part],
    write: WritePart,
) -> beam.PCollection:
    """Return a PredictedFile for every part, also for one without a usable row."""
    every_part = pipeline | "EveryPart" >> beam.Create([(part.index, None) for part in parts])
    return (
        (rows, every_part)
        | "Rows" >> beam.Flatten()
        | "GroupByPart" >> beam.GroupByKey()
        | "WritePart" >> beam.ParDo(write, AsSingleton(first))
    )

"""A batch prediction from start to end: checks, the Beam job, and a summary."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from apache_beam.io.filesystems import FileSystems

from charseq.html.formats import format_share
from pipeline.compare.comparison import PAGE_FILE
from pipeline.output.directory import check_inputs_outside, open_output, stage, stage_dry_run
from pipeline.output.layout import PREDICTIONS
from pipeline.output.staging import Staging
from pipeline.predict.classifier import load_classifier
from pipeline.predict.existing import check_existing_predictions
from pipeline.predict.graph import build
from pipeline.predict.model import Model, read_model
from pipeline.predict.options import PredictOptions
from pipeline.predict.publish import read_evaluation, read_summary
from pipeline.predict.sets import SetRule, read_set_rule
from pipeline.rows.normalizing import describe_normalized
from pipeline.rows.rejected import describe_rejected
from pipeline.rows.sources import Source, describe_inputs, find_nonempty_sources
from pipeline.rows.spilling import open_spill
from pipeline.runtime.job import Job, new_job, report_job


def predict(options: PredictOptions, beam_flags: Sequence[str]) -> None:
    """Predict, and print a summary.

    Raises:
        UsageError: a flag is neither ours nor Beam's, or is not what the runner needs; or Beam has
            no file system for a path.
        DataError: the model, the input or the output directory cannot be used.
        MismatchError: no row can be used, or most rows are of unknown characters.
    """
    started = time.monotonic()
    job = new_job(beam_flags, (options.model, *options.input, options.output))
    model = read_model(options.model)
    # A model that cannot be used is reported before any row is read.
    rule = None
    if options.coverage is not None:
        rule = read_set_rule(model, options.set_method, options.coverage)
    classifier = load_classifier(model, options.trust_model)
    if options.with_strangeness:
        classifier.check_gives_strangeness()
    sources = find_nonempty_sources(options.input_options)
    check_inputs_outside(options.output, [source.path for source in sources])
    if job.is_dry_run:
        with stage_dry_run(PREDICTIONS, options.output) as staging:
            _run(job, sources, model, options, staging, rule)
        print(f"dry run: the job for {job.runner} was built, and nothing else was done")
        return
    with open_output(PREDICTIONS, options.output):
        if PREDICTIONS.is_complete(options.output) and not options.overwrite:
            print(_confirm_existing(sources, model, options))
            return
        with stage(PREDICTIONS, options.output, options.overwrite) as staging:
            _run(job, sources, model, options, staging, rule)
        counts = read_summary(options.output)["counts"]
    print(describe(counts, model, options.output, time.monotonic() - started))
    if options.label_column is not None:
        print(describe_evaluation(read_evaluation(options.output), options.output))
    if options.compare:
        print(f"report: {FileSystems.join(options.output, PAGE_FILE)}, beside the train rows")


def _confirm_existing(sources: Sequence[Source], model: Model, options: PredictOptions) -> str:
    """Return the message for predictions that are complete already.

    Raises:
        DataError: the output directory holds other predictions.
    """
    summary = read_summary(options.output)
    check_existing_predictions(summary, model, options, describe_inputs(sources))
    return (
        f"{options.output} already holds the predictions of this model for these inputs: nothing "
        f"to do; {summary['counts']['predicted']:,} rows predicted"
    )


def _run(
    job: Job,
    sources: Sequence[Source],
    model: Model,
    options: PredictOptions,
    staging: Staging,
    rule: SetRule | None,
) -> None:
    """Build the graph and run it."""
    input_bytes = [source.bytes for source in sources]
    with (
        report_job(job, "predicting", input_bytes, first_stage="predicting"),
        open_spill(staging.directory, job.is_local) as spill,
    ):
        build(job.pipeline, sources, model, options, staging, spill, rule)
        job.pipeline.run().wait_until_finish()


def describe_evaluation(content: Mapping[str, Any], output: str) -> str:
    """Return a user-facing summary of the content of `evaluation.json`."""
    left_out = (
        f"{content['unseen_rows']:,} rows have labels that the model does not have, "
        f"{content['without_label']:,} have none"
    )
    if "rows" not in content:
        return f"no row has a label of the model: {left_out}"
    return (
        f"{content['rows']:,} rows compared with their labels: accuracy {content['accuracy']:.4f}, "
        f"macro F1 {content['macro_f1']:.4f}, loss {content['loss']:.4f}; {left_out}\n"
        f"python -m trainer.evaluate --predictions {output} draws the report"
    )


def describe(counts: Mapping[str, Any], model: Model, output: str, seconds: float) -> str:
    """Return a user-facing summary of predictions that took `seconds`; `counts` as published."""
    unknown = format_share(counts["unknown_characters"], counts["characters"])
    cut = format_share(counts["truncated"], counts["predicted"])
    lines = [
        f"{counts['read']:,} rows read in {seconds:.1f} s: predicted {counts['predicted']:,}, "
        f"{describe_rejected(counts['rejected_by_reason'])}",
        f"{unknown} of the characters are outside the alphabet, {cut} of the rows are cut at "
        f"{model.max_length}",
        _describe_low_confidence(counts),
        describe_normalized(counts["normalized"]),
        f"{output}: labelled by the model of dataset {model.fingerprint[:16]}",
    ]
    return "\n".join(filter(None, lines))


def _describe_low_confidence(counts: Mapping[str, Any]) -> str | None:
    if "low_confidence" not in counts:
        return None
    share = format_share(counts["low_confidence"], counts["predicted"])
    return (
        f"{counts['low_confidence']:,} rows ({share}) have no label: their probability is below "
        "--min-confidence"
    )

"""`MODEL_CARD.md` of a run: what the model is, from which data, how good, and what not to expect.

All of it follows from files of the run: the same files give the same bytes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from charseq.files import sha256_of_file, write_text
from charseq.folds import view_fold
from charseq.html.formats import format_plural, format_share
from charseq.manifest import SPLITS, Manifest, parse_manifest
from charseq.measures.metrics import Evaluation, wilson_interval
from charseq.models.calibration import Calibration, read_calibration
from charseq.models.saved_model import DATASET_ASSET, RUN_FILE
from trainer.config import NGRAMS
from trainer.evaluate.markdown import escape_markdown, make_table
from trainer.run_directory import MODEL_CARD_FILE, SAVED_MODEL

_SHOWN_LABELS, _SHOWN_INPUTS = 30, 20
# A label of fewer train rows is named.
_FEW_ROWS = 20
_TRAINING = ("epochs", "batch_size", "learning_rate", "schedule", "optimizer", "seed")


def write_model_card(
    directory: str, run: Mapping[str, Any], evaluations: Sequence[Evaluation]
) -> None:
    """Write the card of a complete run.

    Args:
        directory: of the run.
        run: its `run.json`.
        evaluations: of its splits, the most important one first.

    Raises:
        DataError: the `dataset.json` of its model, or its calibration, is damaged.
    """
    saved_model = os.path.join(directory, SAVED_MODEL)
    files = [path for path in Path(saved_model).rglob("*") if path.is_file()]
    text = make_model_card(
        run,
        evaluations,
        manifest=_read_manifest(os.path.join(saved_model, DATASET_ASSET), run),
        calibration=read_calibration(directory),
        model_bytes=sum(path.stat().st_size for path in files),
        run_sha256=sha256_of_file(os.path.join(directory, RUN_FILE)),
    )
    write_text(os.path.join(directory, MODEL_CARD_FILE), text)


def _read_manifest(path: str, run: Mapping[str, Any]) -> Manifest | None:
    """Return the manifest in a model, with the splits of the run's fold; None if it has none."""
    if not os.path.exists(path):
        return None
    manifest = parse_manifest(Path(path).read_bytes(), path)
    return view_fold(manifest, run["options"].get("fold"), path)


def make_model_card(
    run: Mapping[str, Any],
    evaluations: Sequence[Evaluation],
    *,
    manifest: Manifest | None,
    calibration: Calibration | None,
    model_bytes: int,
    run_sha256: str,
) -> str:
    """Return the card.

    Args:
        run: `run.json`.
        evaluations: the most important one first.
        manifest: of the dataset that the model was trained on; None if it is not known.
        calibration: of the run; None if it has none.
        model_bytes: of the SavedModel.
        run_sha256: of `run.json`.
    """
    lines = [
        "# Model card",
        "",
        "Written by `trainer.evaluate` from the files of the run.",
        "",
        "## Model",
        "",
        *_describe_model(run, manifest, model_bytes, run_sha256),
        "## Data",
        "",
        *_describe_data(run, manifest),
        "## How good",
        "",
    ]
    for evaluation in evaluations:
        lines += _describe_evaluation(evaluation, run)
    lines += ["## How sure", "", *_describe_sureness(evaluations, calibration)]
    lines += ["## What not to expect", ""]
    lines += [f"- {limit}" for limit in _limits(run, manifest, calibration, evaluations)]
    return "\n".join(lines) + "\n"


def _name_labels(labels: Sequence[str]) -> str:
    more = len(labels) - _SHOWN_LABELS
    shown = ", ".join(map(escape_markdown, labels[:_SHOWN_LABELS]))
    return f"{shown} and {more:,} more" if more > 0 else shown


def _describe_model(
    run: Mapping[str, Any], manifest: Manifest | None, model_bytes: int, run_sha256: str
) -> list[str]:
    options, dataset = run["options"], run["dataset"]
    labels = dataset["labels"]
    rows = {
        "task": f"one of {format_plural(len(labels), 'label')} for a sequence of characters",
        "labels": _name_labels(labels),
        "reads": f"{format_plural(dataset['max_length'], 'character')} at most, of an alphabet of "
        f"{len(dataset['alphabet']):,}{_describe_normalization(manifest)}",
        "model": _describe_network(options),
        "training": ", ".join(
            f"{name.replace('_', ' ')} {escape_markdown(str(options[name]))}"
            for name in _TRAINING
            if options.get(name) is not None
        ),
        "size": f"{model_bytes / 1e6:.1f} MB, as a SavedModel",
        "run": f"{escape_markdown(options['output'], 200)}, SHA-256 of run.json {run_sha256}",
    }
    if parent := run.get("parent"):
        rows["began with"] = "the weights of another run: " + ", ".join(
            f"{escape_markdown(name)} {escape_markdown(str(value))}"
            for name, value in sorted(parent.items())
        )
    rows["versions"] = ", ".join(
        f"{escape_markdown(name)} {escape_markdown(version)}"
        for name, version in sorted(run["versions"].items())
    )
    return make_table(("", ""), rows.items())


def _describe_normalization(manifest: Manifest | None) -> str:
    if manifest is None:
        return ""
    steps = {
        "in Unicode's form NFC": manifest.normalization.nfc,
        "in lower case": manifest.normalization.lowercase,
        "without white space around it": manifest.normalization.strip,
    }
    made = [step for step, is_made in steps.items() if is_made]
    return f"; text is read {', '.join(made)}" if made else ""


def _describe_network(options: Mapping[str, Any]) -> str:
    units = ", ".join(f"{units:,}" for units in options["units"])
    network = f"{escape_markdown(options['representation'])} → LSTM {units}"
    if (lstms := options.get("ensemble") or 1) > 1:
        network += f", {lstms} of them"
    if options["representation"] == NGRAMS:
        network += (
            f"; n-grams of up to {options['ngram_max']} characters in {options['ngram_buckets']:,} "
            "buckets, and language models of the labels"
        )
    return network


def _describe_data(run: Mapping[str, Any], manifest: Manifest | None) -> Iterator[str]:
    fingerprint = run["dataset"]["fingerprint"]
    if manifest is None:
        yield from (f"Dataset of fingerprint {fingerprint}; the model holds no more of it.", "")
        return
    counts, splits = manifest.counts, ", ".join(f"{s} {manifest.records(s):,}" for s in SPLITS)
    rows = {
        "dataset": f"fingerprint {fingerprint}",
        "rows read": f"{counts.read:,}",
        "left out": f"{format_plural(counts.duplicates, 'duplicate')}, {counts.rejected:,} rejected"
        + "".join(
            f"; {escape_markdown(reason)} {rejected:,}"
            for reason, rejected in sorted(counts.rejected_by_reason.items())
        ),
        "rows": splits,
        "split": describe_split_of(manifest.options, run["options"].get("fold")),
        "cut": f"{format_plural(counts.truncated, 'row')} longer than {manifest.max_length:,}",
    }
    if manifest.label_weights is not None:
        rows["weights"] = "rows have weights, by which they count in the training"
    if excluded := run.get("excluded"):
        rows["excluded from training"] = (
            f"{format_plural(excluded['rows'], 'row')} of "
            f"{format_plural(excluded['sequences'], 'sequence')}"
        )
    yield from make_table(("", ""), rows.items())
    yield from make_table(
        ("input, and its content", "bytes"),
        (
            (
                f"{escape_markdown(file.path, 200)}, "
                + escape_markdown(file.identity or "not recorded", 100),
                f"{file.bytes:,}",
            )
            for file in manifest.inputs[:_SHOWN_INPUTS]
        ),
    )
    if len(manifest.inputs) > _SHOWN_INPUTS:
        yield from (f"And {len(manifest.inputs) - _SHOWN_INPUTS:,} more inputs.", "")


def describe_split_of(options: Mapping[str, Any], fold: int | None = None) -> str:
    """Return how rows were split, from the options of a preparation; fold: the one to test on."""

    def named(option: str) -> str:
        return escape_markdown(str(options[option]))

    if options.get("folds"):
        way = f"{options['folds']} folds by a hash of the sequence, tested on fold {fold}"
    elif options.get("train_input"):
        way = "as given, by input files"
    elif options.get("split_column"):
        way = f"as given, by the column {named('split_column')}"
    elif options.get("time_column"):
        times = [
            f"{split} from {named(f'{split}_from')} on"
            for split in ("validation", "test")
            if options.get(f"{split}_from")
        ]
        way = f"by time, of the column {named('time_column')}: {', '.join(times)}"
    elif options.get("split"):
        way = f"by a hash of the sequence, {named('split')}"
    else:
        way = "not recorded"
    if options.get("group_column"):
        way += f"; a group of the column {named('group_column')} is in one split"
    if options.get("similar"):
        way += f"; sequences of an identity of {options['similar']} or more are in one split"
    if options.get("stratify"):
        way += "; exact shares of each label"
    return way


def _describe_evaluation(one: Evaluation, run: Mapping[str, Any]) -> Iterator[str]:
    low, high = wilson_interval(one.accuracy, one.rows)
    yield from (f"### On {one.split}", "", f"{format_plural(one.rows, 'row')}.")
    if one.fingerprint != run["dataset"]["fingerprint"]:
        yield f"They are of another dataset, of fingerprint {escape_markdown(one.fingerprint)}."
    if one.split == "train":
        yield "The model was trained on them."
    if one.split == "validation":
        yield "Epoch and temperature of a run are chosen on its validation rows."
    for claim, reason in (
        ("**Trivial**", one.trivial),
        ("**No better than an n-gram baseline**", one.not_better),
    ):
        if reason:
            yield f"{claim}: {escape_markdown(reason, 1000)}."
    yield ""
    rows = [
        (name, f"{scores.accuracy:.4f}", interval, f"{scores.macro_f1:.4f}", f"{scores.loss:.4f}")
        for name, scores, interval in (
            ("model", one, f"{low:.4f} to {high:.4f}"),
            ("n-gram baseline", one.ngram_baseline, ""),
            ("most frequent label", one.baseline, ""),
        )
        if scores
    ]
    yield from make_table(("", "accuracy", "95 % interval", "macro F1", "log loss"), rows)
    with_rows = [label for label in one.labels if label.support]
    worst = sorted(with_rows, key=lambda label: (label.f1, -label.support))[:_SHOWN_LABELS]
    yield from make_table(
        ("label, worst first", "rows", "precision", "recall", "F1"),
        (
            (
                escape_markdown(label.label),
                f"{label.support:,}",
                *(f"{score:.4f}" for score in (label.precision, label.recall, label.f1)),
            )
            for label in worst
        ),
    )
    if len(worst) < len(with_rows):
        yield f"And {len(with_rows) - len(worst):,} more labels in evaluation-{one.split}.json."
        yield ""


def _describe_sureness(
    evaluations: Sequence[Evaluation], calibration: Calibration | None
) -> Iterator[str]:
    if calibration is None:
        yield from ("Not calibrated: the run had no validation row.", "")
        return
    yield (
        f"Calibrated by the temperature {calibration.temperature:.4f}, fitted to "
        f"{format_plural(calibration.rows, 'validation row')}: there log loss "
        f"{calibration.before.log_loss:.4f} to {calibration.after.log_loss:.4f}, calibration error "
        f"{calibration.before.calibration_error:.4f} to {calibration.after.calibration_error:.4f}."
    )
    yield ""
    rows = []
    for one in evaluations:
        for score in one.sets:
            low, high = wilson_interval(score.coverage, one.rows)
            interval = f"{low:.4f} to {high:.4f}"
            cells = (f"{score.target:g}", f"{score.coverage:.4f}", interval)
            rows.append((f"{one.split}, {score.method}", *cells, f"{score.mean_size:.2f}"))
    if rows:
        head = ("sets of labels", "target", "coverage", "95 % interval", "mean size")
        yield from make_table(head, rows)
    errors = [f"{one.calibration_error:.4f} on {one.split}" for one in evaluations]
    yield from (f"Calibration error: {', '.join(errors)}.", "")


def _limits(
    run: Mapping[str, Any],
    manifest: Manifest | None,
    calibration: Calibration | None,
    evaluations: Sequence[Evaluation],
) -> Iterator[str]:
    """Yield what the model cannot do, or what was not measured, as it follows from the files."""
    dataset = run["dataset"]
    labels = len(dataset["labels"])
    yield (
        f"It gives each text one of its {format_plural(labels, 'label')}, also a text of none of "
        "them."
    )
    yield (
        f"Of a text longer than {format_plural(dataset['max_length'], 'character')} it reads the "
        "beginning only."
    )
    unknown = ""
    if manifest and (characters := sum(map(manifest.characters, SPLITS))):
        share = format_share(manifest.counts.unknown_characters, characters)
        unknown = f" ({share} of the characters of its data)"
    yield (
        f"All characters outside its alphabet of {len(dataset['alphabet']):,} are the same to "
        f"it{unknown}."
    )
    if calibration:
        yield (
            "Probabilities and sets hold for rows like those of the validation split. How unlike "
            "them a text is, `strangeness` says; a high one makes no answer right."
        )
    else:
        yield "It has neither sets of labels nor strangeness: there was no validation row."
    if manifest:
        yield from _limits_of_data(manifest)
    if evaluations:
        yield from _limits_of_measurement(evaluations[0])


def _limits_of_data(manifest: Manifest) -> Iterator[str]:
    options = manifest.options
    given = any(options.get(name) for name in ("train_input", "split_column", "time_column"))
    if not (given or options.get("similar") or options.get("group_column")):
        yield (
            "Rows were split by a hash of the sequence: equal sequences share a split, near-copies "
            "need not. How good it is on rows that are unlike all train rows was not measured "
            "(`pipeline.inspect --leak` counts the similar ones)."
        )
    if manifest.counts.ambiguous:
        yield (
            f"{format_plural(manifest.counts.ambiguous, 'sequence')} of its data had several "
            "labels: of these rows not all can be answered right."
        )
    counts = zip(manifest.labels, manifest.counts_of_labels("train"), strict=True)
    few = [label for label, rows in counts if rows < _FEW_ROWS]
    if few:
        verb = "has" if len(few) == 1 else "have"
        yield (
            f"{format_plural(len(few), 'label')} {verb} fewer than {_FEW_ROWS} train rows: "
            f"{_name_labels(few)}."
        )


def _limits_of_measurement(one: Evaluation) -> Iterator[str]:
    missing = [label.label for label in one.labels if not label.support]
    if missing:
        verb = "has" if len(missing) == 1 else "have"
        yield (
            f"{format_plural(len(missing), 'label')} {verb} no row of {one.split}, so how good it "
            f"is on them was not measured: {_name_labels(missing)}."
        )
    yield (
        "The intervals are of independent rows; between rows of one origin, as of one author or "
        "donor, they are too narrow."
    )

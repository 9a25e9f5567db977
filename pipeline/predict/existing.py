"""Complete predictions compared with a command: with its model, options and input files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, fields
from typing import Any

from charseq.console.messages import name_first
from charseq.errors import DataError
from charseq.manifest import InputFile
from pipeline.output.differences import different_files, different_options
from pipeline.output.layout import PREDICTIONS
from pipeline.predict.model import Model
from pipeline.predict.options import PredictOptions

# The model is compared by its files, `input` by the files it matches, the limit of rejected rows
# with the rows that were rejected.
_NOT_COMPARED = {"model", "input", "output", "overwrite", "trust_model", "max_rejected_fraction"}


def check_existing_predictions(
    summary: Mapping[str, Any], model: Model, options: PredictOptions, inputs: Iterable[InputFile]
) -> None:
    """Check that predictions were made by `model` with `options` from `inputs`.

    Args:
        summary: the content of `predictions.json`.
        model: the model of the command.
        options: its options.
        inputs: its input files.

    Raises:
        DataError: they were not; the message names the model, the options and the files that
            differ. Or `predictions.json` is damaged.
    """
    try:
        differences = [
            *_different_model(summary["model"], model),
            *_different_options(summary["options"], options),
            *_too_many_rejected(summary["counts"], options),
            *different_files([InputFile(**file) for file in summary["inputs"]], inputs),
        ]
    except (KeyError, TypeError) as error:
        raise DataError(
            f"{options.output}/{PREDICTIONS.manifest}: not a list of predictions: {error}"
        ) from error
    if differences:
        raise DataError(
            f"{options.output} already holds predictions, but not these: {'; '.join(differences)}. "
            "Choose another --output, or replace them with --overwrite"
        )


def _different_model(existing: Mapping[str, Any], model: Model) -> Iterator[str]:
    then = {file["path"]: file["sha256"] for file in existing["files"]}
    now = {file.path: file.sha256 for file in model.files}
    changed = sorted(path for path in then.keys() | now.keys() if then.get(path) != now.get(path))
    if changed:
        yield (
            f"the model {existing['path']}, now {model.directory}, which differs in "
            f"{name_first(changed)}"
        )


def _different_options(existing: Mapping[str, Any], options: PredictOptions) -> Iterator[str]:
    wanted = {
        name: _to_json(now) for name, now in asdict(options).items() if name not in _NOT_COMPARED
    }
    return different_options(
        existing, wanted, {field.name: _to_json(field.default) for field in fields(PredictOptions)}
    )


def _to_json(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def _too_many_rejected(counts: Mapping[str, Any], options: PredictOptions) -> Iterator[str]:
    allowed = options.max_rejected_fraction
    if counts["rejected"] > allowed * counts["read"]:
        yield (
            f"{counts['rejected']:,} of {counts['read']:,} rows are rejected, now "
            f"--max-rejected-fraction {allowed:g}"
        )

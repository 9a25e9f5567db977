"""The directory of predictions: `predictions.json` written, and all files moved into place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

from apache_beam.io.filesystems import FileSystems

from charseq.console.redaction import redact, redact_json
from charseq.errors import DataError
from charseq.files import FileDigest, parse_json_object, to_json_text
from charseq.measures.metrics import EVALUATION_FILE
from charseq.options_file import OPTIONS_FILE
from pipeline.compare.comparison import Comparison
from pipeline.compare.profile import Named
from pipeline.compare.rows import RowCounts, make_profile
from pipeline.output.journal import StagedFile, StagedOutput, publish_staged
from pipeline.output.layout import PREDICTIONS
from pipeline.output.staging import Staging
from pipeline.predict.characters import CharacterCounts
from pipeline.predict.evaluation import LabelledRows, to_evaluation
from pipeline.predict.model import Model
from pipeline.predict.options import PredictOptions
from pipeline.predict.predicted_files import PredictedFile
from pipeline.rows.counts import ReadCounts
from pipeline.rows.rejected_files import RejectedFile
from pipeline.rows.sources import Source, check_unchanged, describe_inputs
from pipeline.runtime.filesystems import digest_file, write_text

FORMAT_VERSION = 1
_ADDRESSES = ("input", "output", "model")  # Of the options.
_LIBRARIES = ("apache-beam", "tensorflow", "pyarrow", "numpy")


@dataclass(frozen=True)
class PreparedPredictions:
    """Predictions whose files are staged.

    staging: of the run. counts, characters, labelled, compared: of all rows that were read. files,
    rejected_files: in any order.
    """

    options: PredictOptions
    model: Model
    sources: Sequence[Source]
    staging: Staging
    counts: ReadCounts
    characters: CharacterCounts
    labelled: LabelledRows
    compared: RowCounts
    files: Sequence[PredictedFile]
    rejected_files: Sequence[RejectedFile]


def publish_predictions(prepared: PreparedPredictions) -> None:
    """Move all files into place, `predictions.json` last.

    A runner may call this again after it was cut short anywhere.

    Raises:
        DataError: the counts do not add up, or an input file changed while it was read; another run
            published first, or a file of somebody else is in the way.
    """
    publish_staged(prepared.staging, lambda: _list_staged(prepared))


def _list_staged(prepared: PreparedPredictions) -> StagedOutput:
    """Return all staged files, and the text of `predictions.json`.

    Raises:
        DataError: the counts do not add up, or an input file changed while it was read.
    """
    check_unchanged(prepared.sources)
    num_files = len(prepared.files)
    files = [
        *(StagedFile(file.staged_path, file.file_name(num_files)) for file in prepared.files),
        *(StagedFile(file.staged_path, file.file_name) for file in prepared.rejected_files),
    ]
    summary = summarize(prepared)
    for name, text in _texts(prepared).items():
        path = write_text(prepared.staging.path(name), text)
        summary["files"].append(asdict(digest_file(path, name)))
        files.append(StagedFile(path, name))
    return StagedOutput(files, to_json_text(summary))


def _texts(prepared: PreparedPredictions) -> dict[str, str]:
    """Return the texts of the files beside the predictions, by name."""
    texts = {OPTIONS_FILE: prepared.options.to_toml()}
    if prepared.options.label_column is not None:
        evaluation = to_evaluation(prepared.labelled, prepared.model)
        texts[EVALUATION_FILE] = to_json_text(evaluation)
    if prepared.options.compare:
        texts |= compare_with_train(prepared).to_files()
    return texts


def compare_with_train(prepared: PreparedPredictions) -> Comparison:
    """Return what changed from the rows that the model was trained on to those to predict."""
    options, model = prepared.options, prepared.model
    has_labels = options.label_column is not None
    profile = make_profile(prepared.counts, prepared.compared, None, has_labels=has_labels)
    name = ", ".join(map(redact, options.input))
    return Comparison(model.train, Named(name, profile), tuple(model.alphabet), {})


def summarize(prepared: PreparedPredictions) -> dict[str, Any]:
    """Return the content of `predictions.json`.

    Raises:
        DataError: the rows predicted and rejected are not the rows read.
    """
    model = prepared.model
    return {
        "format_version": FORMAT_VERSION,
        "counts": count_rows(prepared),
        "model": {
            "path": redact(model.directory),
            "dataset_fingerprint": model.fingerprint,
            "max_length": model.max_length,
            "files": [asdict(file) for file in model.files],
        },
        "inputs": [file.to_json() for file in describe_inputs(prepared.sources)],
        "options": {
            **asdict(prepared.options),
            **redact_json({name: getattr(prepared.options, name) for name in _ADDRESSES}),
        },
        "versions": {library: version(library) for library in _LIBRARIES},
        "files": [*_describe_predicted(prepared.files), *_describe_rejected(prepared)],
    }


def count_rows(prepared: PreparedPredictions) -> dict[str, Any]:
    """Return what became of all rows that were read.

    Raises:
        DataError: the rows predicted and rejected are not the rows read.
    """
    by_reason: Counter[str] = sum((file.by_reason for file in prepared.rejected_files), Counter())
    rejected = by_reason.total()
    predicted = sum(file.rows for file in prepared.files)
    read = prepared.counts.read
    if predicted + rejected != read:
        raise DataError(
            f"{read} rows were read, but {predicted} predicted + {rejected} rejected make "
            f"{predicted + rejected}; nothing was published. This is a defect of the pipeline or "
            "its runner, please report it"
        )
    left_out = sum(file.low_confidence for file in prepared.files)
    is_choosy = prepared.options.min_confidence is not None
    return {
        "read": read,
        "predicted": predicted,
        **({"low_confidence": left_out} if is_choosy else {}),
        "rejected": rejected,
        "rejected_by_reason": dict(sorted(by_reason.items())),
        "truncated": prepared.counts.truncated,
        "characters": prepared.characters.characters,
        "unknown_characters": prepared.characters.unknown,
        "unknown_rows": prepared.characters.unknown_rows,
        "normalized": prepared.counts.normalized.to_json(),
    }


def _describe_predicted(files: Sequence[PredictedFile]) -> list[dict[str, Any]]:
    return [
        _describe_file(
            FileDigest(file.file_name(len(files)), file.bytes, file.sha256), num_rows=file.rows
        )
        for file in sorted(files, key=lambda file: file.index)
    ]


def _describe_rejected(prepared: PreparedPredictions) -> list[dict[str, Any]]:
    return [
        _describe_file(
            digest_file(file.staged_path, file.file_name), num_rows=file.by_reason.total()
        )
        for file in sorted(prepared.rejected_files, key=lambda file: file.index)
    ]


def _describe_file(digest: FileDigest, num_rows: int) -> dict[str, Any]:
    return {
        "path": digest.path,
        "rows": num_rows,
        "bytes": digest.bytes,
        "sha256": digest.sha256,
    }


def read_summary(output: str) -> dict[str, Any]:
    """Return the content of `predictions.json`.

    Raises:
        DataError: it is not a JSON object.
    """
    return _read_json(output, PREDICTIONS.manifest)


def read_evaluation(output: str) -> dict[str, Any]:
    """Return the content of `evaluation.json`.

    Raises:
        DataError: it is not a JSON object.
    """
    return _read_json(output, EVALUATION_FILE)


def _read_json(output: str, name: str) -> dict[str, Any]:
    path = FileSystems.join(output, name)
    with FileSystems.open(path) as file:
        return parse_json_object(file.read(), path)

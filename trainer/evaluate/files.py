"""What an evaluation leaves in the directory of a run, beside its report."""

from __future__ import annotations

from dataclasses import asdict
from typing import NamedTuple

from charseq.files import write_json
from charseq.measures.metrics import Evaluation
from charseq.models.runs import evaluation_file
from trainer.batch_predictions import Predictions
from trainer.data.dataset import Dataset
from trainer.evaluate.certain_rows import CertainRows
from trainer.evaluate.evaluation import check_same_ids, evaluate
from trainer.evaluate.examples import make_examples
from trainer.evaluate.keras_file import load_keras_model
from trainer.evaluate.suspicious import collect_suspicious, write_suspicious
from trainer.run_directory import MODEL_FILE, SUSPICIOUS_FILE, Run, examples_file


class Written(NamedTuple):
    """An evaluation that was written, and how many rows look mislabelled; None: not looked for."""

    evaluation: Evaluation
    num_suspicious: int | None


def evaluate_and_write(run: Run, dataset: Dataset, split: str, trust_model: bool) -> Written:
    """Evaluate a run on a split, and write `evaluation-SPLIT.json` and `examples-SPLIT.json`.

    On the validation split `suspicious.jsonl`, too: the model has learned the labels of train rows,
    and test rows are to measure with.

    Raises:
        DataError: as `trainer.evaluate.evaluation.evaluate`.
    """
    from trainer.data.representation import restore_ids
    from trainer.settings import resolve_representation

    check_same_ids(run, dataset)
    dataset.check_not_empty(split)
    representation = resolve_representation(run.representation, dataset)
    model = load_keras_model(run.path(MODEL_FILE), trust_model)
    certain = CertainRows(len(run.labels))
    is_searched = split == "validation"
    with collect_suspicious(len(run.labels)) as suspicious:

        def observe(batch: Predictions) -> None:
            ids = restore_ids(batch.inputs, batch.lengths, representation, dataset.manifest)
            certain.add(batch.labels, batch.probabilities, ids, batch.lengths)
            if is_searched:
                suspicious.add(batch.labels, batch.probabilities, ids, batch.lengths)

        evaluation = evaluate(run, dataset, split, trust_model, observe, model)
        found = suspicious.rank(run.labels, run.alphabet)
        count = write_suspicious(run.path(SUSPICIOUS_FILE), found) if is_searched else None
    examples = make_examples(certain, run, model, representation, evaluation)
    write_json(run.path(examples_file(split)), examples.to_json())
    write_json(run.path(evaluation_file(split)), asdict(evaluation))
    return Written(evaluation, count)


def describe_suspicious(count: int, rows: int, path: str) -> str:
    """Return a line that says how many rows look mislabelled."""
    return f"labels that look wrong: {count:,} of {rows:,} rows, in {path}"

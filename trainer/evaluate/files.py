"""What an evaluation leaves in the directory of a run, beside its report."""

from __future__ import annotations

from dataclasses import asdict

from charseq.files import write_json
from charseq.measures.metrics import Evaluation
from charseq.models.runs import evaluation_file
from trainer.data.dataset import Dataset
from trainer.evaluate.certain_rows import CertainRows
from trainer.evaluate.evaluation import Predictions, check_same_ids, evaluate
from trainer.evaluate.examples import make_examples
from trainer.evaluate.keras_file import load_keras_model
from trainer.run_directory import MODEL_FILE, Run, examples_file


def evaluate_and_write(run: Run, dataset: Dataset, split: str, trust_model: bool) -> Evaluation:
    """Evaluate a run on a split, and write `evaluation-SPLIT.json` and `examples-SPLIT.json`.

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

    def observe(batch: Predictions) -> None:
        ids = restore_ids(batch.inputs, batch.lengths, representation, dataset.manifest)
        certain.add(batch.labels, batch.probabilities, ids, batch.lengths)

    evaluation = evaluate(run, dataset, split, trust_model, observe, model)
    examples = make_examples(certain, run, model, representation, evaluation)
    write_json(run.path(examples_file(split)), examples.to_json())
    write_json(run.path(evaluation_file(split)), asdict(evaluation))
    return evaluation

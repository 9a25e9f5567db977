"""`examples-SPLIT.json`: rows of each label that show how a model answers, and n-grams.

| key | value |
|---|---|
| `format_version` | 1 |
| `split`, `fingerprint` | of the rows, and of their dataset |
| `sampled_rows` | the rows in which n-grams were measured |
| `labels` | at most 30, those with the most wrong rows: `label`, `right`, `wrong`, `ngrams` |

`right` and `wrong` are the rows of the label that the model is most certain of: `sequence` (its
first 1,000 characters; an unknown one is U+FFFD), `length`, `predicted`, `probability`, and of
wrong ones `influence`, by how many nats the log-probability of `predicted` falls if the character
becomes unknown; null where the row is too long to be explained. `ngrams`: `ngram`, `place` (begin,
end, or null for anywhere), `rows` and `influence`, see `trainer.evaluate.influence`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from charseq.errors import DataError
from charseq.examples import ids_to_text
from charseq.files import damage_as_data_error, read_json_object
from charseq.json_values import build, convert
from charseq.measures.influence import influence_level, influence_scale
from charseq.measures.metrics import Evaluation
from trainer.evaluate.certain_rows import CertainRows, Row
from trainer.evaluate.influence import (
    BEGIN,
    END,
    Classify,
    NgramInfluence,
    count_occlusions,
    measure_characters,
    measure_ngrams,
    rank_ngrams,
    within_budget,
)
from trainer.run_directory import Run

if TYPE_CHECKING:
    import keras

_FORMAT_VERSION = 1
# The ids that the model is asked for besides: of wrong rows, and of n-grams. Together it takes some
# three seconds at most.
_EXPLAINED_IDS, _NGRAM_IDS = 1 << 18, 3 << 18
_DECIMALS = 6


@dataclass(frozen=True)
class ExampleRow:
    """A row of a label, as the module describes."""

    sequence: str
    length: int
    predicted: str
    probability: float
    influence: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Ngram:
    """An n-gram, the sampled rows that hold it, and its mean influence in nats.

    place: begin or end, of one that counts only there; else None.
    """

    ngram: str
    place: str | None
    rows: int
    influence: float


@dataclass(frozen=True)
class LabelExamples:
    """The rows and n-grams of one label."""

    label: str
    right: tuple[ExampleRow, ...]
    wrong: tuple[ExampleRow, ...]
    ngrams: tuple[Ngram, ...]


@dataclass(frozen=True)
class Examples:
    """The content of the file."""

    split: str
    fingerprint: str
    sampled_rows: int
    labels: tuple[LabelExamples, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the content of the file."""
        return {"format_version": _FORMAT_VERSION, **asdict(self)}


def read_examples(path: str) -> Examples | None:
    """Return what a file holds; None if there is none, or a newer version of charseq wrote it.

    Raises:
        DataError: it is damaged.
    """
    if not os.path.exists(path):
        return None
    try:
        content = read_json_object(path)
        with damage_as_data_error(path, "examples of an evaluation"):
            version = convert(int, content.pop("format_version"), "format_version")
            return build(Examples, content) if version <= _FORMAT_VERSION else None
    except DataError as error:
        raise DataError(f"{error}; evaluate that split again, or remove the file") from error


def describe_examples(examples: Examples) -> dict[str, Any]:
    """Return the examples for the template: rows with the levels of their characters."""

    def describe(row: ExampleRow) -> dict[str, Any]:
        influence = row.influence or (0.0,) * len(row.sequence)
        scale = influence_scale(influence)
        levels = [influence_level(value / scale) for value in influence]
        return {**asdict(row), "levels": levels, "is_explained": row.influence is not None}

    return {
        "sampled_rows": examples.sampled_rows,
        "labels": [
            {
                "label": one.label,
                "right": list(map(describe, one.right)),
                "wrong": list(map(describe, one.wrong)),
                "ngrams": one.ngrams,
            }
            for one in examples.labels
        ],
    }


def make_examples(
    certain: CertainRows,
    run: Run,
    model: keras.Model,
    representation: str,
    evaluation: Evaluation,
) -> Examples:
    """Return the examples of an evaluation.

    Args:
        certain: the rows of the evaluation.
        run: of the model.
        model: that answered.
        representation: of its input.
        evaluation: of the same rows.
    """
    classify = _classifier(model, representation, run.alphabet_size)
    shown = certain.shown_labels()
    wrong = _in_turns([certain.wrong(label) for label in shown])
    explained = within_budget(wrong, lambda length: length * length, _EXPLAINED_IDS)
    characters = measure_characters(classify, explained, run.alphabet_size + 1)
    influence = {
        id(row): tuple(round(value, _DECIMALS) for value in of_row)
        for row, of_row in zip(explained, characters, strict=True)
    }
    sampled = within_budget(
        _in_turns([certain.sampled(label) for label in shown]),
        lambda length: length * count_occlusions(length),
        _NGRAM_IDS,
    )

    measured = measure_ngrams(classify, sampled, run.alphabet_size + 1)

    def describe(row: Row) -> ExampleRow:
        return ExampleRow(
            ids_to_text(row.ids.tolist(), run.alphabet),
            row.length,
            run.labels[row.predicted],
            round(row.probability, _DECIMALS),
            influence.get(id(row)),
        )

    def describe_label(label: int) -> LabelExamples:
        of_label = [
            each for row, each in zip(sampled, measured, strict=True) if row.predicted == label
        ]
        return LabelExamples(
            run.labels[label],
            tuple(map(describe, certain.right(label))),
            tuple(map(describe, certain.wrong(label))),
            tuple(_describe_ngram(one, run.alphabet) for one in rank_ngrams(of_label)),
        )

    return Examples(
        evaluation.split, evaluation.fingerprint, len(sampled), tuple(map(describe_label, shown))
    )


def _describe_ngram(found: NgramInfluence, alphabet: Sequence[str]) -> Ngram:
    place = "begin" if found.ids[0] == BEGIN else "end" if found.ids[-1] == END else None
    text = ids_to_text([number for number in found.ids if number > 0], alphabet)
    return Ngram(text, place, found.rows, round(found.influence, _DECIMALS))


def _in_turns(lists: Sequence[Sequence[Row]]) -> list[Row]:
    """Return the first row of each list, then the second of each, and so on."""
    return [row for turn in zip_longest(*lists) for row in turn if row is not None]


def _classifier(model: keras.Model, representation: str, alphabet_size: int) -> Classify:
    import tensorflow as tf

    from trainer.data.representation import represent

    ids, lengths = tf.TensorSpec([None, None], tf.int64), tf.TensorSpec([None], tf.int64)

    @tf.function(input_signature=[ids, lengths], autograph=False)
    def classify(ids: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
        sequence = represent(ids, representation, alphabet_size)
        return model({"sequence": sequence, "length": length}, training=False)

    return lambda ids, lengths: classify(tf.constant(ids), tf.constant(lengths)).numpy()

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.trainer_fixtures import toy_rows, write_dataset
from trainer.errors import DataError
from trainer.evaluate import Evaluation, LabelScore, check_same_ids, score_labels
from trainer.run_directory import Run

# Of ten rows of x, 8 were given x and 2 y; of five rows of y, 1 x and 4 y; z has no row.
CONFUSION = np.array([[8, 2, 0], [1, 4, 0], [0, 0, 0]])


def test_scores_of_a_confusion_matrix_worked_out_by_hand():
    x, y, z = score_labels(CONFUSION, ("x", "y", "z"))
    assert x == LabelScore("x", 10, pytest.approx(8 / 9), 0.8, pytest.approx(16 / 19))
    assert y == LabelScore("y", 5, pytest.approx(4 / 6), 0.8, pytest.approx(8 / 11))
    assert z == LabelScore("z", 0, 0.0, 0.0, 0.0)


def test_the_table_is_readable():
    evaluation = Evaluation(
        split="test",
        fingerprint="",
        rows=1015,
        loss=0.25,
        accuracy=0.8,
        macro_f1=0.7847,
        labels=(LabelScore("amber", 1010, 0.5, 0.25, 1 / 3), LabelScore("x", 5, 1.0, 1.0, 1.0)),
    )
    assert str(evaluation).splitlines() == [
        "1,015 rows: loss 0.2500, accuracy 0.8000, macro F1 0.7847",
        "label    support  precision  recall      F1",
        "amber      1,010     0.5000  0.2500  0.3333",
        "x              5     1.0000  1.0000  1.0000",
    ]


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("data"), {"train": toy_rows(5)})


def run_on(manifest):
    return Run(
        directory="runs/r",
        representation="embedding",
        batch_size=4,
        fingerprint="another",
        max_length=manifest.max_length,
        alphabet_size=manifest.alphabet_size,
        alphabet=manifest.alphabet,
        labels=manifest.labels,
    )


def test_another_dataset_with_the_same_ids_will_do(manifest):
    check_same_ids(run_on(manifest), manifest)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("max_length", 9, "max length: got 6, expected 9"),
        ("alphabet_size", 5, "alphabet size: got 4, expected 5"),
        ("alphabet", ("B", "A"), "alphabet: got A, B, C, expected B, A"),
        ("labels", ("x", "y", "z"), "labels: got y, x, z, expected x, y, z"),
    ],
)
def test_a_dataset_with_other_ids_is_refused_by_name(manifest, name, value, message):
    with pytest.raises(DataError, match=message):
        check_same_ids(replace(run_on(manifest), **{name: value}), manifest)

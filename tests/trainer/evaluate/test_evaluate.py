from __future__ import annotations

from dataclasses import replace

import pytest

from charseq.errors import DataError
from charseq.measures.baseline import Baseline, NgramBaseline
from charseq.measures.metrics import Confusion, Evaluation, LabelScore
from charseq.measures.sureness import SetScore, Uncalibrated
from tests.support.datasets import toy_rows, write_dataset
from trainer.batch_predictions import predict_batches
from trainer.data.batches import Batches
from trainer.data.dataset import read_dataset
from trainer.evaluate.evaluation import check_same_ids, format_evaluation
from trainer.run_directory import Run

pytestmark = pytest.mark.unit


def evaluation_of(*labels):
    return Evaluation(
        split="test",
        fingerprint="",
        rows=1015,
        loss=0.25,
        accuracy=0.8,
        top3_accuracy=0.9,
        macro_f1=0.7847,
        calibration_error=0.0312,
        labels=labels,
        confusion=Confusion((), (), ()),
        lengths=(),
        reliability=(),
    )


def test_scores_are_shown_as_an_aligned_table():
    amber = LabelScore("amber", 1010, 0.5, 0.25, 1 / 3)
    text = format_evaluation(evaluation_of(LabelScore("x\x1b", 5, 1.0, 1.0, 1.0), amber))
    assert text.splitlines() == [
        "1,015 rows: accuracy 0.8000, top-3 accuracy 0.9000, macro F1 0.7847, loss 0.2500, "
        "calibration error 0.0312",
        "                     accuracy  macro F1    loss",
        "model                  0.8000    0.7847  0.2500",
        "n-gram baseline             –         –       –",
        "most frequent label         –         –       –",
        "label    support  precision  recall      F1",
        "amber      1,010     0.5000  0.2500  0.3333",
        "x\\x1b          5     1.0000  1.0000  1.0000",
    ]


def test_the_model_is_shown_beside_its_baselines():
    evaluation = replace(
        evaluation_of(),
        ngram_baseline=NgramBaseline(0.2, 0.85, 0.7, 0, 0, 0, 0),
        baseline=Baseline(12.34567, 0.5, 0.25, 0, 0),
    )
    assert format_evaluation(evaluation).splitlines()[1:5] == [
        "                     accuracy  macro F1    loss",
        "model                  0.8000    0.7847  0.2500",
        "n-gram baseline        0.8500    0.7000  0.2000",
        "most frequent label    0.5000    0.2500  12.3457",
    ]


def test_what_the_calibration_changed_and_gives_is_named():
    evaluation = replace(
        evaluation_of(),
        uncalibrated=Uncalibrated(1.25, 0.5, 0.0625),
        sets=(
            SetScore("lac", 0.8, 0.7, 1.0, ()),
            SetScore("lac", 0.95, 0.9479, 1.324, ()),
            SetScore("aps", 0.95, 0.99, 2.0, ()),
        ),
    )
    assert format_evaluation(evaluation).splitlines()[5:-1] == [
        "calibrated by temperature 1.250: log loss 0.5000 to 0.2500, calibration error 0.0625 to "
        "0.0312",
        "sets of labels at 0.95: hold the right one of 94.8 % of the rows, 1.32 labels on average",
    ]


def test_of_many_labels_the_table_shows_the_worst():
    labels = [LabelScore("l" * 999, number, 0.0, 0.0, number / 1000) for number in range(1000)]
    lines = format_evaluation(evaluation_of(*labels)).splitlines()
    assert len(lines) == 27
    assert lines[6] == f"{'l' * 31}…          1     0.0000  0.0000  0.0010"
    assert lines[-1] == "these have the lowest F1; 980 more labels in the files below"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("data"), {"train": toy_rows(5)})


def run_on(dataset):
    return Run(
        directory="runs/r",
        representation="embedding",
        batch_size=4,
        fingerprint="another",
        max_length=dataset.manifest.max_length,
        alphabet_size=dataset.manifest.alphabet_size,
        alphabet=dataset.manifest.alphabet,
        labels=dataset.manifest.labels,
    )


def test_another_dataset_with_the_same_ids_is_accepted(dataset):
    check_same_ids(run_on(dataset), dataset)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("max_length", 9, "max length: got 6, expected 9"),
        ("alphabet_size", 5, "alphabet size: got 4, expected 5"),
        ("alphabet", ("B", "A"), "alphabet: got A, B, C, expected B, A"),
        ("labels", ("x", "y", "z"), "labels: got y, x, z, expected x, y, z"),
    ],
)
def test_a_dataset_with_other_ids_is_refused_by_the_difference(dataset, name, value, message):
    with pytest.raises(DataError, match=message):
        check_same_ids(replace(run_on(dataset), **{name: value}), dataset)


def test_nothing_is_measured_on_a_dataset_that_is_replaced_meanwhile(tmp_path):
    import tensorflow as tf

    write_dataset(tmp_path, {"train": toy_rows(5)})
    batches = Batches(read_dataset(str(tmp_path)), "embedding", 4)

    def answer(features):
        (tmp_path / "dataset.json").write_text("{}")
        return tf.zeros((4, 3))

    with pytest.raises(DataError, match=r"dataset\.json: replaced while it was used"):
        list(predict_batches(answer, "model", batches, "train"))

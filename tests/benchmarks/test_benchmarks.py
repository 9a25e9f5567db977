from __future__ import annotations

import json
import math
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.accuracy import courses_table, levels_table, scale_rate, seconds_to
from benchmarks.chart import draw_accuracy
from benchmarks.figures import figures_table, growth, ratios_table
from benchmarks.gpu import operations
from benchmarks.input import CONTESTANTS as INPUTS
from benchmarks.input import are_compared as are_inputs_compared
from benchmarks.measure import Cost
from benchmarks.peers.training import Epoch, Rows, read_csv, write_metrics
from benchmarks.plan import CASES, Case
from benchmarks.samples import make_sample, make_samples
from benchmarks.train import CONTESTANTS, are_compared
from benchmarks.training import Training, read_epochs
from charseq.errors import DataError
from pipeline.input_options import InputOptions
from pipeline.rows.blocks import parse_block, read_blocks
from pipeline.rows.parts import cut_into_parts
from pipeline.rows.sources import find_nonempty_sources
from pipeline.sample import write_sample as write_whole_sample

pytestmark = pytest.mark.unit

TRAINING = Training(Cost(20.0, 30.0, 5), 100, (Epoch(5.0, 0.5), Epoch(2.0, 0.7), Epoch(3.0, 0.6)))


def test_mixed_rows_are_those_of_the_sample_command(tmp_path: Path) -> None:
    write_whole_sample(tmp_path / "sample.csv", 50, seed=0)
    small, whole = make_samples(tmp_path, 50, "mixed")
    expected = (tmp_path / "sample.csv").read_bytes()
    assert whole.path.read_bytes() == expected
    assert small.path.read_bytes().splitlines() == expected.splitlines()[:6]
    assert (small.rows, whole.rows) == (5, 50)


@pytest.mark.parametrize(("lengths", "shortest", "longest"), [("full", 31, 40), ("short", 5, 15)])
def test_rows_have_the_lengths_asked_for(
    tmp_path: Path, lengths: str, shortest: int, longest: int
) -> None:
    sample = make_sample(tmp_path, 500, lengths)
    found = {len(sequence) for sequence in read_csv(sample.path).sequences}
    assert found == set(range(shortest, longest + 1))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_inputs_of_plans_have_the_rows_asked_for(case: Case, tmp_path: Path) -> None:
    path = case.write(tmp_path, 700)
    options = InputOptions((str(path),), "auto", None, "sequence", "label")
    parts = cut_into_parts(find_nonempty_sources(options))
    blocks = [block for part in parts for block in read_blocks(part)]
    assert sum(parse_block(block).rows for block in blocks) == 700


def test_csv_is_read_by_column(tmp_path: Path) -> None:
    (tmp_path / "two.csv").write_text("sequence,label\nAC,x\nD,y\n")
    assert read_csv(tmp_path / "two.csv") == Rows(["AC", "D"], ["x", "y"])


def test_what_a_training_did() -> None:
    assert TRAINING.steady_rate == 40  # 200 rows in 5 s
    assert TRAINING.whole_rate == 15  # 300 rows in 20 s
    assert TRAINING.accuracy == 0.6
    assert TRAINING.course() == [(5.0, 0.5), (7.0, 0.7), (10.0, 0.6)]
    assert math.isnan(Training(TRAINING.cost, 100, TRAINING.epochs[:1]).steady_rate)


def test_metrics_are_read_as_they_are_written(tmp_path: Path) -> None:
    write_metrics(tmp_path, 100, TRAINING.epochs)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert read_epochs(metrics, 100, "one") == TRAINING.epochs
    with pytest.raises(DataError, match="one: 100 rows in an epoch, expected 99"):
        read_epochs(metrics, 99, "one")


def test_memory_grows_by_the_rows_more() -> None:
    assert growth(Cost(1.0, 1.0, 1000), Cost(1.0, 1.0, 4000), 10) == 300


def test_figures_are_medians_and_ratios_are_taken_within_rounds() -> None:
    rounds = {"a": [1.0, 6.0, 8.0], "b": [1.0, 2.0, 4.0], "c": [1.0, math.nan, 1.0]}
    assert figures_table(rounds, {"rate": (lambda one: one, ".1f")}).splitlines() == [
        "|  | rate |",
        "| --- | ---: |",
        "| a | 6.0 |",
        "| b | 2.0 |",
        "| c | – |",
    ]
    assert ratios_table([("a", "b")], rounds, {"rate": lambda one: one}).splitlines() == [
        "| ratio | rate |",
        "| --- | ---: |",
        "| a : b | 2.00 |",
    ]


def test_who_is_compared_in_training() -> None:
    by_name = {one.name: one for one in CONTESTANTS}
    pairs = {
        (one, other)
        for one in ("charseq_embedding", "charseq_one_hot", "charseq_scalar")
        for other in by_name
        if are_compared(by_name[one], by_name[other])
    }
    peers = set(by_name) - {"charseq_embedding", "charseq_one_hot", "charseq_scalar"}
    assert pairs == {("charseq_embedding", peer) for peer in peers} | {
        ("charseq_one_hot", peer) for peer in peers - {"torch_embedding"}
    }


def test_learning_rates_follow_the_batch_size_by_a_rule() -> None:
    assert scale_rate(64, "linear") == pytest.approx(0.00125)
    assert scale_rate(2048, "linear") == pytest.approx(0.04)
    assert scale_rate(64, "sqrt") == pytest.approx(0.0035355339)
    assert scale_rate(2048, "sqrt") == pytest.approx(0.02)


def test_seconds_to_an_accuracy_end_with_the_first_epoch_that_has_it() -> None:
    courses = {"a": [(1.0, 0.55), (2.0, 0.72)], "b": [(4.0, 0.5), (8.0, 0.61)]}
    assert seconds_to(courses["a"], 0.72) == 2.0
    assert levels_table(courses).splitlines() == [
        "| seconds to an accuracy of | 0.50 | 0.60 | 0.70 |",
        "| --- | ---: | ---: | ---: |",
        "| a | 1.0 | 2.0 | 2.0 |",
        "| b | 4.0 | 8.0 | – |",
    ]
    assert courses_table(courses).splitlines()[2:] == [
        "| 1 | 1.0 s: 0.5500 | 4.0 s: 0.5000 |",
        "| 2 | 2.0 s: 0.7200 | 8.0 s: 0.6100 |",
    ]


def test_accuracy_is_drawn_between_the_axes() -> None:
    drawn = draw_accuracy({"a<b": [(5.0, 0.5), (10.0, 1.0)]})
    assert 'points="302.0,184.0 560.0,16.0"' in drawn
    texts = [
        text.text for text in ElementTree.fromstring(drawn).iter() if text.tag.endswith("text")
    ]
    assert texts[6:12] == ["0", "2", "4", "6", "8", "10"]
    assert texts[-1] == "a<b"
    with pytest.raises(ValueError, match="got 8 lines, expected at most 7"):
        draw_accuracy({str(number): [(1.0, 1.0)] for number in range(8)})


def test_operations_of_called_functions_are_found() -> None:
    import tensorflow as tf

    @tf.function
    def inner(x: tf.Tensor) -> tf.Tensor:
        return tf.sin(x)

    with tf.Graph().as_default() as graph:
        tf.exp(inner(tf.constant(1.0)))
    found = operations(graph)
    assert {"Exp", "Sin"} <= found
    assert "Cos" not in found


def test_inputs_are_compared_where_they_are_alike() -> None:
    pairs = {(a.name, b.name) for a in INPUTS for b in INPUTS if are_inputs_compared(a, b)}
    assert pairs == {
        ("charseq_embedding", "tutorial_embedding"),
        ("charseq_one_hot", "tutorial_one_hot"),
    }

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from benchmarks.figures import figures_table, growth, ratios_table
from benchmarks.measure import Cost
from benchmarks.peers.training import Epoch, Rows, read_csv, write_metrics
from benchmarks.samples import make_samples, write_sample
from benchmarks.train import CONTESTANTS, are_compared
from benchmarks.training import Training, read_epochs
from pipeline.errors import DataError
from pipeline.sample import write_sample as write_whole_sample

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
    write_sample(tmp_path / "some.csv", 500, lengths)
    found = {len(sequence) for sequence in read_csv(tmp_path / "some.csv").sequences}
    assert found == set(range(shortest, longest + 1))


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

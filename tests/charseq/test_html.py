"""Templates and the numbers of charts."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import pytest
from jinja2 import Environment, UndefinedError

from charseq.html import environment, render
from charseq.html.charts import (
    Chart,
    chart_epochs,
    chart_lengths,
    round_counts,
    round_levels,
    round_up,
    split_flow,
)
from charseq.html.formats import format_measure, format_plural, format_share, shorten

pytestmark = pytest.mark.unit


PAGES = ("compare", "dataset", "evaluation", "folds", "predictions", "run")
PARTS = ("notebook_evaluation", "notebook_explanations", "notebook_facts", "notebook_predictions")


def test_every_template_is_valid() -> None:
    names = {file.name for file in files("charseq.html").joinpath("templates").iterdir()}
    pages = {f"{name}.html" for name in (*PAGES, *PARTS)}
    assert names == {"base.html", "macros.html", "style.css", *pages}
    for file in files("charseq.html").joinpath("templates").iterdir():
        Environment().parse(file.read_text(encoding="utf-8"))


def test_a_missing_value_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="'run' is undefined"):
        render("run.html")


def test_the_style_sheet_is_in_the_page() -> None:
    page = render("base.html")
    assert "prefers-color-scheme: dark" in page
    assert "&#" not in page


@pytest.mark.parametrize(
    ("values", "levels"),
    [
        ([0, 1.57], [0, 0.5, 1.0, 1.5, 2.0]),
        ([0.37, 0.74], [0.3, 0.4, 0.5, 0.6, 0.7, 0.8]),
        ([0, 8723], [0, 5000, 10000]),
        ([1.0], [1.0, 1.0005]),
        ([0, 0], [0, 5e-10]),
        ([], [0, 1]),
    ],
)
def test_levels_of_an_axis(values: Sequence[float], levels: Sequence[float]) -> None:
    assert round_levels(values) == pytest.approx(levels)


def test_round_numbers() -> None:
    assert [round_up(number) for number in (0.3, 1, 3, 10, 11, 999, 1000)] == [
        0.5,
        1,
        5,
        10,
        20,
        1000,
        1000,
    ]
    assert round_counts(3, 8) == [1, 2, 3]
    assert round_counts(31, 8) == [5, 10, 15, 20, 25, 30]
    assert round_counts(0, 4) == []


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([1.57], ["0.0", "0.5", "1.0", "1.5", "2.0"]),
        ([8723.0], ["0", "5k", "10k"]),
        ([0.01], ["0.000", "0.005", "0.010"]),
        ([4e-4], ["0", "1.0e-04", "2.0e-04", "3.0e-04", "4.0e-04"]),
    ],
)
def test_texts_of_an_axis(values: Sequence[float], texts: Sequence[str]) -> None:
    chart = chart_epochs("Loss", {"train": values}, from_zero=True)
    assert [text for _, text in chart.levels] == texts


def test_a_curve_ends_where_its_values_do() -> None:
    chart = chart_epochs("Loss", {"train": [2.0, 1.0, float("nan")]}, from_zero=True)
    assert chart.curves == {"train": [(0, 2.0), (50, 1.0)]}
    assert [chart.y(value) for value in (2.0, 1.0)] == [8.0, 83.0]
    drawn = draw(chart)
    assert 'd="M0.0 8.0L50.0 83.0"' in drawn
    assert drawn.count("<circle") == 2


def draw(chart: Chart) -> str:
    macros: Any = environment().get_template("macros.html").module
    return str(macros.plot(chart))


def test_a_single_epoch_stands_in_the_middle() -> None:
    chart = chart_epochs("Loss", {"train": [1.0], "validation": [0.5]}, from_zero=True, best=1)
    assert chart.curves == {"train": [(50, 1.0)], "validation": [(50, 0.5)]}
    assert chart.mark == 50
    assert chart.hovers == [(0, 100, "epoch 1: train 1.0000, validation 0.5000")]


def test_a_histogram_of_lengths_with_a_tail() -> None:
    chart = chart_lengths([(1, 1, 3), (2, 2, 1), (3, 4, 4)], 1, 2, "cut at 1")
    assert [(bar.left, bar.right, bar.kind) for bar in chart.bars] == [
        (0, 25, "kept"),
        (25, 50, "cut"),
        (50, 100, "cut"),
    ]
    assert [text for _, text in chart.ticks] == ["4", "2", "1"]
    assert chart.bars[2].title == "3–4: 4 (50.0 %)"
    assert chart.mark == 25
    assert ">cut at 1</text>" in draw(chart)
    beyond = chart_lengths([(1, 1, 3)], 9, 18, "cut at 9")
    assert (beyond.mark, beyond.mark_text) == (None, "cut at 9 →")


def test_text_in_a_chart_is_escaped() -> None:
    drawn = draw(Chart('"<i>', 0, 1, [(0, "<i>")], hovers=[(0, 100, "</title><script>")]))
    assert 'aria-label="&#34;&lt;i&gt;"' in drawn
    assert "<title>&lt;/title&gt;&lt;script&gt;</title>" in drawn
    assert "<i>" not in drawn


def test_a_flow_splits_in_proportion() -> None:
    bands = split_flow(100, [("train", 80), ("test", 19), ("rejected", 1), ("none", 0)])
    assert [band.size for band in bands] == [176, 42, 2, 0]
    assert [band.slot for band in bands] == [188, 54, 44, 44]
    assert bands[0].left == 55
    assert bands[1].left == 231


def test_numbers_as_text() -> None:
    assert [format_measure(one) for one in (None, 0.5, 0.00012, 8723.2)] == [
        "–",
        "0.5000",
        "0.00012",
        "8,723",
    ]
    assert [format_share(one) for one in (0, 0.00004, 0.0004, 0.5, 0.9999, 1)] == [
        "0 %",
        "< 0.01 %",
        "0.04 %",
        "50.0 %",
        "> 99.9 %",
        "100 %",
    ]
    assert [shorten(one) for one in (9_999, 10_000, 25_600, 12_000_000)] == [
        "9,999",
        "10k",
        "26k",
        "12M",
    ]
    assert (format_plural(1, "row"), format_plural(1_000, "row")) == ("1 row", "1,000 rows")

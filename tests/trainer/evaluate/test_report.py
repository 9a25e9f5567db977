"""The page of a run: what stands in it, and that nothing in a label can do harm."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from charseq.errors import DataError
from charseq.measures.baseline import NgramBaseline
from charseq.measures.metrics import MetricsAccumulator
from charseq.measures.sureness import SetScore, Uncalibrated
from trainer.evaluate.examples import ExampleRow, Examples, LabelExamples, Ngram
from trainer.evaluate.report import render_report, write_report

pytestmark = pytest.mark.unit

HOSTILE = ("<script>alert(1)</script>", "\u202e\x00", "😀שלום", "x" * 5000, '"><img src=//e>')


def run_with(labels, max_length=6, **options):
    return {
        "format_version": 1,
        "options": {
            "output": "runs/<i>",
            "representation": "embedding",
            "units": [8, 6],
            **options,
        },
        "dataset": {
            "fingerprint": "ab" * 32,
            "max_length": max_length,
            "alphabet": ["A", "<"],
            "labels": list(labels),
        },
        "versions": {"python": "3.11.7"},
    }


def epoch(number, loss, validation=None, **more):
    score = validation and {"loss": validation, "accuracy": 0.5}
    return {
        "number": number,
        "train": {"loss": loss, "accuracy": 0.25},
        "validation": score,
        "seconds": 40.0,
        "sequences_per_second": 1234.5,
        **more,
    }


def evaluation_of(labels, split="test", rows=200, max_length=6, fingerprint="ab" * 32):
    """Random answers that are right about half of the time."""
    random = np.random.default_rng(0)
    own = random.integers(len(labels), size=rows)
    weights = random.random((rows, len(labels))) + 1e-3
    weights[np.arange(rows), own] += random.integers(2, size=rows)
    tally = MetricsAccumulator(len(labels), max_length, [1] * len(labels))
    tally.add(
        own, weights / weights.sum(axis=1, keepdims=True), random.integers(1, max_length + 1, rows)
    )
    return tally.evaluation(split, fingerprint, labels)


class Page(HTMLParser):
    """The elements and the text of a page; every element is closed in the order it was opened."""

    VOID = ("meta", "br", "img", "link")

    def __init__(self, html):
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self.attributes: list[tuple[str, Any]] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_it_shows_the_numbers():
    one = evaluation_of(("x", "y", "z"))
    page = Page(render_report(run_with("xyz"), [epoch(1, 1.5, 1.25), epoch(2, 1.0, 1.5)], [one]))
    for shown in (
        f"{one.accuracy:.3f}",
        f"{one.top3_accuracy:.3f}",
        f"{one.macro_f1:.3f}",
        f"{one.loss:.3f}",
        f"{one.calibration_error:.3f}",
        f"{one.labels[1].f1:.3f}",
        "LSTM 8, 6 → 3 labels",
        "2 epochs took 1 min 20 s",
        "ab" * 32,
        "--representation",
        "Validation loss was least after epoch 1",
        "epoch 2: train 1.0000, validation 1.5000",
        "Confusion",
        "Reliability",
        "Accuracy by length",
    ):
        assert shown in page.text


def test_it_loads_nothing_and_runs_nothing():
    labels = (*HOSTILE, "x", "y")
    html = render_report(run_with(labels), [epoch(1, 1.0)], [evaluation_of(labels)])
    page = Page(html)
    assert not {"script", "img", "link", "iframe"} & set(page.tags)
    assert not {"src", "href", "onerror"} & {name for name, _ in page.attributes}
    assert "url(" not in html
    assert "@import" not in html


@pytest.mark.parametrize("others", [0, 100])
def test_hostile_labels_are_seen(others):
    labels = (*HOSTILE, *(f"label {number}" for number in range(others)))
    page = Page(
        render_report(run_with(labels), [epoch(1, 1.0)], [evaluation_of(labels, rows=3000)])
    )
    assert "\x00" not in page.text
    assert "\u202e" not in page.text
    if not others:
        assert "<script>alert(1)</script>" in page.text
        assert "\\u202e\\x00" in page.text
        assert "5,000 characters" in page.text
    titles = [value for name, value in page.attributes if name == "title"]
    assert all(len(title) < 200 and "\x00" not in title for title in titles)


def test_of_many_labels_only_the_extremes_are_drawn():
    labels = [f"label {number}" for number in range(1000)]
    one = evaluation_of(labels, rows=20_000)
    html = render_report(run_with(labels), [epoch(1, 1.0)], [one])
    assert len(html) < 120_000
    assert 'class="matrix"' not in html
    worst = min(one.labels, key=lambda label: (label.f1, -label.support))
    assert worst.label in html
    assert "<code>evaluation-test.json</code>" in html


def test_a_train_split_alone_a_diverged_loss_and_further_keys():
    epochs = [epoch(1, 1.0, learning_rate=0.01), epoch(2, float("nan"), learning_rate=0.005)]
    page = Page(render_report(run_with("xy"), epochs, []))
    assert "Learning rate" in page.text
    assert "epoch 2: train –" in page.text
    assert "nan" not in page.text
    assert "Validation loss was least" not in page.text


def test_another_dataset_is_told():
    one = evaluation_of("xy", fingerprint="cd" * 32)
    html = render_report(run_with("xy"), [epoch(1, 1.0)], [one])
    assert "test was measured on another dataset" in html


def test_a_trivial_model_is_named_above_its_numbers():
    one = replace(evaluation_of("xy"), trivial="it always gives the label <b>: to 200 of 200 rows")
    other = replace(evaluation_of("xy", "validation"), trivial=None)
    html = render_report(run_with("xy"), [epoch(1, 1.0)], [one, other])
    warning = "A trivial model on test: it always gives the label <b>: to 200 of 200 rows."
    assert Page(html).text.count("A trivial model") == 1
    assert 0 < Page(html).text.find(warning) < Page(html).text.find("top-3 accuracy")
    assert f"from the label shares alone: {one.baseline.loss:.3f}" in html
    # Of an earlier version: the entropy of 89 and 111 rows.
    earlier = replace(one, baseline=None)
    assert [label.support for label in one.labels] == [89, 111]
    html = render_report(run_with("xy"), [epoch(1, 1.0)], [earlier])
    assert "from the label shares alone: 0.687" in html


def test_a_model_is_shown_beside_its_baselines():
    beside = NgramBaseline(0.4, 0.8765, 0.7654, 0, 0, 0, 0)
    one = replace(evaluation_of("xy"), ngram_baseline=beside, not_better="its accuracy of <b>")
    html = render_report(run_with("xy"), [epoch(1, 1.0)], [one])
    assert "No better than an n-gram baseline on test: its accuracy of <b>." in Page(html).text
    row = "<td>n-gram baseline</td><td>0.8765</td><td>0.7654</td><td>0.4000</td></tr>"
    assert row in html.replace("\n", "")
    html = render_report(run_with("xy"), [epoch(1, 1.0)], [replace(one, baseline=None)])
    row = "<td>most frequent label</td><td>–</td><td>–</td><td>–</td></tr>"
    assert row in html.replace("\n", "")


def sets_of(one, *targets):
    """Sets that hold a label in a row less the more labels come before it."""
    covered = [max(label.support - number, 0) for number, label in enumerate(one.labels)]
    return tuple(
        SetScore(method, target, sum(covered) / one.rows, size, tuple(covered))
        for target in targets
        for method, size in (("lac", 1.25), ("aps", 1.75))
    )


def test_how_sure_it_is_stands_beside_what_was_wanted():
    one = evaluation_of("xyz")
    html = render_report(run_with("xyz"), [epoch(1, 1.0)], [one])
    assert "How sure" in html
    assert "temperature" not in html
    assert "Sets of labels" not in html
    surest = one.answered[24]
    assert surest.share == 0.5
    row = f"<td>50 %</td><td>{surest.accuracy:.4f}</td><td>{surest.min_probability:.3f}</td>"
    assert row in html
    assert f"the surest 50 %: accuracy {surest.accuracy:.3f}, probability" in Page(html).text

    one = replace(one, uncalibrated=Uncalibrated(1.234, 0.8765, 0.4321), sets=sets_of(one, 0.9))
    html = render_report(run_with("xyz"), [epoch(1, 1.0)], [one])
    assert [label.support for label in one.labels] == [55, 66, 79]
    assert "the model was too sure" in html
    assert f"<b>{one.loss:.4f}</b><small>nats; without the temperature: 0.8765" in html
    assert f"<b>{one.calibration_error:.4f}</b><small>without the temperature: 0.4321" in html
    # 0 + 1 + 2 of 200 rows are not covered.
    assert "<td>90 % lac</td><td>98.5 %</td>\n<td>95.7–99.5 %</td><td>1.25</td>" in html
    assert "<td>90 % aps</td>" in html
    assert "nothing is promised beyond" in html
    assert ">x</bdi></td><td>55</td>\n<td>100 %</td>" in html
    assert ">z</bdi></td><td>79</td>\n<td>97.5 %</td>" in html


def test_of_many_labels_those_that_sets_hold_least_are_named():
    one = evaluation_of([f"label {number}" for number in range(40)], rows=2000)
    one = replace(one, sets=sets_of(one, 0.8, 0.95))
    html = render_report(run_with("xyz"), [epoch(1, 1.0)], [one])
    table = html[html.index("Coverage by label") :]
    assert "the lowest beyond chance" in table
    named = re.findall(r">label (\d+)</bdi>", table)
    assert (len(named), named[0]) == (20, "36")
    assert "<th>80 %</th><th>95 %</th>" in table


def test_an_evaluation_of_an_earlier_version_has_no_such_section():
    one = replace(evaluation_of("xyz"), answered=())
    assert "How sure" not in render_report(run_with("xyz"), [epoch(1, 1.0)], [one])


def write_run(directory, *evaluations):
    for name, content in (
        ("run.json", run_with("xyz")),
        ("metrics.json", {"epochs": [epoch(1, 1.0, 0.9)], "final": {}, "best_epoch": 1}),
        *((f"evaluation-{one.split}.json", asdict(one)) for one in evaluations),
    ):
        (directory / name).write_text(json.dumps(content), encoding="utf-8")


def test_every_evaluation_of_the_run_is_on_its_page(tmp_path):
    directory = tmp_path / "a [run] é"
    directory.mkdir()
    write_run(directory, evaluation_of("xyz", "train"), evaluation_of("xyz", "validation"))
    address = write_report(str(directory))
    assert address == (directory / "report.html").as_uri()
    page = (directory / "report.html").read_text(encoding="utf-8")
    assert re.findall(r"<h2>On (\w+)</h2>", page) == ["validation", "train"]
    write_run(directory, evaluation_of("xyz", "test"))
    write_report(str(directory))
    page = (directory / "report.html").read_text(encoding="utf-8")
    assert re.findall(r"<h2>On (\w+)</h2>", page) == ["test", "validation", "train"]
    assert not list(directory.glob("*.tmp"))


def test_an_evaluation_of_another_form_is_named(tmp_path):
    write_run(tmp_path)
    (tmp_path / "evaluation-test.json").write_text('{"rows": 1}')
    with pytest.raises(DataError, match=r"damaged, or not an evaluation of this .*; evaluate that"):
        write_report(str(tmp_path))
    (tmp_path / "evaluation-test.json").write_text("{")
    with pytest.raises(DataError, match=r"evaluation-test\.json: not JSON"):
        write_report(str(tmp_path))
    write_run(tmp_path, replace(evaluation_of("xyz"), rows=-1))
    with pytest.raises(DataError, match=r"not a run whose metrics\.json and evaluation-\*\.json"):
        write_report(str(tmp_path))


def examples_of(*labels, split="test", fingerprint="ab" * 32):
    rows = (ExampleRow("<b>\x00A", 5, labels[-1], 0.75, (0.0, 1.0, 1.0, -1.0, 0.0)),)
    long = (ExampleRow("A" * 1000, 2000, labels[0], 0.5),)
    of_labels = tuple(
        LabelExamples(label, long, rows, (Ngram("<i>", "end", 3, 0.125),)) for label in labels
    )
    return Examples(split, fingerprint, 1234, of_labels)


def test_rows_and_ngrams_of_labels_are_shown_and_do_no_harm():
    one = evaluation_of(HOSTILE)
    examples = examples_of(*HOSTILE)
    html = render_report(run_with(HOSTILE), [epoch(1, 1.0)], [one], [examples])
    page = Page(html)
    assert not {"script", "img", "link", "iframe"} & set(page.tags)
    assert '<b class="for4">b&gt;</b><b class="against4"><i title="U+0000 NULL">' in html
    assert "&lt;i&gt;</bdi> <small>at the end</small></td>\n<td>0.12</td><td>3</td>" in html
    assert "of 1,234 rows" in page.text.replace("\n", " ")
    assert "… 2,000 characters" in page.text
    assert page.text.count("most certain, and wrong") == 5
    # Of other rows, they are not shown.
    for other in (examples_of("x", split="train"), examples_of("x", fingerprint="cd" * 32)):
        html = render_report(run_with(HOSTILE), [epoch(1, 1.0)], [one], [other])
        assert "Rows and n-grams" not in html


def test_examples_of_many_labels_are_folded_away():
    labels = [f"label {number}" for number in range(30)]
    one = evaluation_of(labels)
    html = render_report(run_with(labels), [epoch(1, 1.0)], [one], [examples_of(*labels)])
    assert "<summary>20 more labels</summary>" in html

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from markdown_it import MarkdownIt

from charseq.manifest import InputFile, RowCounts, Shard
from charseq.measures.baseline import Baseline, NgramBaseline
from charseq.measures.metrics import Confusion, Evaluation, LabelScore
from charseq.measures.sureness import SetScore
from charseq.models.calibration import Calibration, Sureness
from tests.support.manifests import toy_manifest
from trainer.evaluate.model_card import describe_split_of, make_model_card

pytestmark = pytest.mark.unit

FINGERPRINT = "ab" * 32
RUN: dict[str, Any] = {
    "options": {
        "output": "runs/a_b",
        "representation": "ngrams",
        "units": [64],
        "ensemble": 3,
        "ngram_max": 5,
        "ngram_buckets": 65536,
        "epochs": 12,
        "seed": 7,
        "schedule": "cosine",
    },
    "dataset": {
        "fingerprint": FINGERPRINT,
        "max_length": 3,
        "alphabet": ["A", "B"],
        "labels": ["x|y", "<b>", "z"],
    },
    "versions": {"python": "3.11.7"},
}
MANIFEST = toy_manifest(
    labels=("x|y", "<b>", "z"),
    counts=RowCounts(1040, 1000, 16, 20, 3, 1, {"empty_label": 1}, 5, 2, 50),
    label_counts={"train": {"x|y": 990, "<b>": 10}},
    length_histogram={"train": {"1": 500, "2": 250}},
    shards=(
        Shard("train/part", "train", 1000, 1, ""),
        Shard("test/part", "test", 20, 1, ""),
    ),
    inputs=(InputFile("data/a_1.csv", 12345, "sha256:5e"), InputFile("b.csv", 7)),
    options={"split": "train=0.9,test=0.1", "normalize": "nfc", "lowercase": True, "strip": False},
)
EVALUATION = Evaluation(
    split="test",
    fingerprint=FINGERPRINT,
    rows=400,
    loss=0.25,
    accuracy=0.9,
    top3_accuracy=1.0,
    macro_f1=0.75,
    calibration_error=0.0625,
    labels=(
        LabelScore("x|y", 300, 0.95, 0.9, 0.925),
        LabelScore("<b>", 100, 0.5, 0.25, 1 / 3),
        LabelScore("z", 0, 0.0, 0.0, 0.0),
    ),
    confusion=Confusion((), (), ()),
    lengths=(),
    reliability=(),
    baseline=Baseline(0.5, 0.75, 0.375, 0, 0),
    ngram_baseline=NgramBaseline(0.375, 0.875, 0.625, 0, 0, 0, 0),
    sets=(SetScore("lac", 0.95, 0.9375, 1.25, ()),),
)
CALIBRATION = Calibration(16, 1.25, Sureness(0.5, 0.125), Sureness(0.25, 0.0625), {})


def card(*evaluations, run=RUN, manifest=MANIFEST, calibration=CALIBRATION):
    return make_model_card(
        run,
        evaluations,
        manifest=manifest,
        calibration=calibration,
        model_bytes=5_340_000,
        run_sha256="cd" * 32,
    )


def test_it_says_what_the_model_is_and_how_good():
    lines = card(EVALUATION).splitlines()
    for line in (
        "| task | one of 3 labels for a sequence of characters |",
        r"| labels | x\|y, \<b\>, z |",
        "| reads | 3 characters at most, of an alphabet of 2; text is read in Unicode's form NFC, "
        "in lower case |",
        "| model | ngrams → LSTM 64, 3 of them; n-grams of up to 5 characters in 65,536 buckets, "
        "and language models of the labels |",
        "| training | epochs 12, schedule cosine, seed 7 |",
        "| size | 5.3 MB, as a SavedModel |",
        rf"| run | runs/a\_b, SHA-256 of run.json {'cd' * 32} |",
        "| versions | python 3.11.7 |",
        "| rows read | 1,040 |",
        r"| left out | 3 duplicates, 1 rejected; empty\_label 1 |",
        "| rows | train 1,000, validation 0, test 20 |",
        "| split | by a hash of the sequence, train=0.9,test=0.1 |",
        "| cut | 5 rows longer than 3 |",
        r"| data/a\_1.csv, sha256\:5e | 12,345 |",
        "| b.csv, not recorded | 7 |",
        "400 rows.",
        "| model | 0.9000 | 0.8667 to 0.9257 | 0.7500 | 0.2500 |",
        "| n-gram baseline | 0.8750 |  | 0.6250 | 0.3750 |",
        "| most frequent label | 0.7500 |  | 0.3750 | 0.5000 |",
        "| test, lac | 0.95 | 0.9375 | 0.9094 to 0.9573 | 1.25 |",
        "Calibrated by the temperature 1.2500, fitted to 16 validation rows: there log loss 0.5000 "
        "to 0.2500, calibration error 0.1250 to 0.0625.",
        "Calibration error: 0.0625 on test.",
    ):
        assert line in lines
    # The worst first; a label without a row is not measured.
    first = lines.index(r"| \<b\> | 100 | 0.5000 | 0.2500 | 0.3333 |")
    assert lines[first + 1 : first + 3] == [r"| x\|y | 300 | 0.9500 | 0.9000 | 0.9250 |", ""]


def test_what_not_to_expect_follows_from_the_files():
    text = card(EVALUATION)
    limits = text[text.index("## What not to expect") :].splitlines()[2:]
    assert limits[:3] == [
        "- It gives each text one of its 3 labels, also a text of none of them.",
        "- Of a text longer than 3 characters it reads the beginning only.",
        "- All characters outside its alphabet of 2 are the same to it (5.0 % of the characters of "
        "its data).",
    ]
    assert "near-copies need not" in limits[4]
    assert limits[5].startswith("- 2 sequences of its data had several labels")
    assert limits[6] == r"- 2 labels have fewer than 20 train rows: \<b\>, z."
    assert limits[7].startswith("- 1 label has no row of test, so")
    assert limits[7].endswith("not measured: z.")
    assert len(limits) == 9
    # Of rows that were split by a column, and of a run without validation rows, others follow.
    given = replace(MANIFEST, options={"split_column": "which"})
    text = card(EVALUATION, manifest=given, calibration=None)
    assert "near-copies" not in text
    assert "neither sets of labels nor strangeness" in text
    assert "Not calibrated: the run had no validation row." in text


def test_a_model_that_is_no_good_or_was_measured_elsewhere_says_so():
    one = replace(
        EVALUATION, fingerprint="ef" * 32, trivial="always <x>", not_better="its accuracy"
    )
    text = card(one, replace(EVALUATION, split="train"))
    assert r"**Trivial**: always \<x\>." in text
    assert "**No better than an n-gram baseline**: its accuracy." in text
    assert f"They are of another dataset, of fingerprint {'ef' * 32}." in text
    assert text.index("### On test") < text.index("### On train")
    assert "The model was trained on them." in text


def test_without_the_dataset_or_an_evaluation_the_rest_stays():
    text = card(manifest=None)
    assert f"Dataset of fingerprint {FINGERPRINT}; the model holds no more of it." in text
    assert "### On" not in text
    run = {**RUN, "parent": {"run_sha256": "12"}, "excluded": {"rows": 3, "sequences": 1}}
    text = card(run=run)
    assert r"| began with | the weights of another run: run\_sha256 12 |" in text
    assert "| excluded from training | 3 rows of 1 sequence |" in text


def test_it_is_markdown_whatever_labels_are_called():
    names = ("a|b", "`", "*x*\n# y", "<img src=x>", "\\", "[a](b)")
    run = {**RUN, "dataset": {**RUN["dataset"], "labels": list(names)}}
    labels = tuple(LabelScore(name, 1, 0.5, 0.5, 0.5) for name in names)
    manifest = replace(MANIFEST, labels=names, label_counts={})
    text = card(replace(EVALUATION, labels=labels), run=run, manifest=manifest)
    html = MarkdownIt("commonmark").enable("table").render(text)
    for name in ("a|b", "`", "*x*\\n# y", "&lt;img src=x&gt;", "\\", "[a](b)"):
        assert f"<td>{name}</td>" in html
    assert "<img" not in html
    assert "<em>" not in html
    assert html.count("<h2>") == 5
    assert text == card(replace(EVALUATION, labels=labels), run=run, manifest=manifest)


@pytest.mark.parametrize(
    ("options", "fold", "expected"),
    [
        ({"split": "train=1"}, None, "by a hash of the sequence, train=1"),
        ({"folds": 5, "split": "x"}, 3, "5 folds by a hash of the sequence, tested on fold 3"),
        ({"train_input": ["a.csv"], "split": "x"}, None, "as given, by input files"),
        ({"split_column": "a|b"}, None, r"as given, by the column a\|b"),
        (
            {"time_column": "day", "test_from": "2026-01-01", "validation_from": None},
            None,
            "by time, of the column day: test from 2026-01-01 on",
        ),
        (
            {"split": "s", "group_column": "donor", "similar": 0.8, "stratify": True},
            None,
            "by a hash of the sequence, s; a group of the column donor is in one split; sequences "
            "of an identity of 0.8 or more are in one split; exact shares of each label",
        ),
        ({}, None, "not recorded"),
    ],
)
def test_how_rows_were_split_is_said(options, fold, expected):
    assert describe_split_of(options, fold) == expected

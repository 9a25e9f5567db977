"""The flags of given splits."""

from __future__ import annotations

import pytest

from charseq.errors import UsageError
from pipeline.options import Options, parse_command_line

pytestmark = pytest.mark.unit


def parse(*flags: str) -> Options:
    options, beam_flags = parse_command_line(["--output", "o", *flags])
    assert not beam_flags
    return options


def test_an_input_for_each_split() -> None:
    options = parse("--train-input", "a", "b", "--validation-input", "v", "--test-input", "t")
    assert options.splits.inputs == {"train": ("a", "b"), "validation": ("v",), "test": ("t",)}
    assert options.all_inputs == ("a", "b", "v", "t")
    assert options.input_options.split_inputs == options.splits.inputs
    assert options.splits.are_given
    saved = options.to_json()
    assert (saved["input"], saved["train_input"], saved["test_input"]) == ([], ["a", "b"], ["t"])
    assert "splits" not in saved


def test_a_column_and_its_values() -> None:
    options = parse("--input", "i", "--split-column", "part", "--split-values", "dev=validation")
    assert options.input_options.others == (("--split-column", "part"),)
    assert options.row_rules.splits.split_of_value == {
        **{"train": 0, "validation": 1, "test": 2},
        "dev": 1,
    }


def test_without_them_splits_are_not_given() -> None:
    assert not parse("--input", "i").splits.are_given


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("", "--input: is missing; or give each split its own, with --train-input and"),
        ("--train-input a", "--train-input: only with --validation-input or --test-input"),
        ("--test-input a", "--test-input: only with --train-input"),
        ("--input i --train-input a --test-input b", "--train-input: not allowed with --input"),
        ("--input i --folds 3 --split-column s", "--folds: not allowed where splits are given"),
        ("--input i --folds 2", "--folds: got 2, expected 3 to 100"),
        (
            "--input i --folds 3 --split train=1",
            "--split: got 'train=1', expected none with",
        ),
        ("--input i --split-values dev=test", "--split-values: only with --split-column"),
        (
            "--input i --leaks fail",
            "--leaks: only with --split-column, --time-column or --train-input",
        ),
        (
            "--input i --split-column a --split-values dev",
            "--split-values: got 'dev', expected a value, '=' and one of train, validation, test",
        ),
        (
            "--input i --split-column a --split-values d=test,d=train",
            "--split-values: got 'd=test,d=train', expected 'd' once",
        ),
        ("--input i --split-column label", "--split-column: got 'label', expected another column"),
        (
            "--train-input a --test-input b --split-column s",
            "--split-column: not allowed with --train-input: both say which split a row is in",
        ),
        ("--input i --stratify --group-column g", "--group-column: not allowed with --stratify"),
        ("--input i --split-column s --stratify", "--stratify: not allowed with --split-column"),
        ("--input i --time-column t", "--time-column: only with --validation-from or --test-from"),
        (
            "--input i --time-column t --validation-from 2026-02 --test-from 2026-01-01",
            "error: argument --validation-from: got '2026-02', expected a date or a time in ISO",
        ),
        (
            "--input i --time-column t --validation-from 2026-02-01 --test-from 2026-01-31T23:59Z",
            "--test-from: got '2026-01-31T23:59Z', expected a later time than --validation-from",
        ),
        (
            "--input i --format fasta --split-column s",
            "--split-column: is for formats with columns, not for fasta",
        ),
    ],
)
def test_what_does_not_go_together(
    flags: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises((UsageError, SystemExit)) as refused:
        parse(*flags.split())
    said = capsys.readouterr().err if refused.type is SystemExit else str(refused.value)
    assert said.startswith(message)

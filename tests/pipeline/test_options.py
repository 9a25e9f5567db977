"""The command line of the preparation."""

from __future__ import annotations

import shlex
from dataclasses import replace
from fractions import Fraction

import pytest

from charseq.errors import UsageError
from pipeline.options import Options, parse_command_line
from pipeline.split_fractions import parse_split
from tests.support.manifests import toy_manifest

pytestmark = pytest.mark.unit

REQUIRED = ["--input", "a.csv", "--output", "out"]


def test_every_flag_reaches_its_option() -> None:
    line = (
        "--input a.csv --input b/*.csv --output out --format tsv --sequence-column s"
        " --label-column l --normalize none --lowercase --no-strip --encoding one_hot"
        " --max-length 7 --alphabet-size 9"
        " --too-long reject --split train=0.5,test=0.5 --num-shards 3 --compression gzip"
        " --seed 11 --max-rejected-fraction 0.25 --max-labels 99 --overwrite"
        " --runner=FlinkRunner --direct_num_workers 2"
    )
    options, beam_flags = parse_command_line(shlex.split(line))
    assert options == Options(
        input=("a.csv", "b/*.csv"),
        output="out",
        format="tsv",
        sequence_column="s",
        label_column="l",
        normalize="none",
        lowercase=True,
        strip=False,
        encoding="one_hot",
        max_length=7,
        alphabet=None,
        alphabet_size=9,
        too_long="reject",
        split="train=0.5,test=0.5",
        num_shards=3,
        compression="gzip",
        seed=11,
        max_rejected_fraction=0.25,
        max_labels=99,
        overwrite=True,
    )
    assert beam_flags == ["--runner=FlinkRunner", "--direct_num_workers", "2"]


def test_input_takes_several_values() -> None:
    """As a shell gives a pattern without quotes."""
    options, beam_flags = parse_command_line(
        ["--input", "a", "b", "--output", "o", "--input", "c", "--runner", "FlinkRunner"]
    )
    assert options.input == ("a", "b", "c")
    assert beam_flags == ["--runner", "FlinkRunner"]


def test_an_alphabet_sets_the_number_of_characters() -> None:
    options, _ = parse_command_line([*REQUIRED, "--alphabet", "ACDE"])
    assert (options.num_characters, options.unknown_id) == (4, 5)


def test_the_alphabet_of_a_dataset_keeps_its_size() -> None:
    options, _ = parse_command_line([*REQUIRED, "--alphabet-of", "parent"])
    assert options.paths == ("a.csv", "out", "parent")
    taken = options.with_alphabet_of(toy_manifest(alphabet=("D", "A"), alphabet_size=3))
    assert (taken.alphabet, taken.num_characters, taken.unknown_id) == ("DA", 3, 4)
    assert (taken.to_json()["alphabet"], taken.to_json()["alphabet_size"]) == ("DA", 3)


@pytest.mark.parametrize(
    ("flags", "delimiter"),
    [
        ([], None),
        (["--delimiter", ";"], ";"),
        (["--delimiter=tab"], "\t"),
        (["--delimiter=\\t"], "\t"),
    ],
)
def test_delimiter(flags: list[str], delimiter: str | None) -> None:
    assert parse_command_line([*REQUIRED, *flags])[0].delimiter == delimiter


@pytest.mark.parametrize("delimiter", ["", ";;", '"', "é", "a", "\n"])
def test_a_delimiter_is_one_character_that_can_separate(
    delimiter: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse_command_line([*REQUIRED, f"--delimiter={delimiter}"])
    assert "expected one ASCII character such as ';', or tab" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            ["--no-header"],
            "--no-header: got the columns 'sequence', 'label', expected their numbers, as "
            "--sequence-column 1 --label-column 2",
        ),
        (["--no-header", "--sequence-column=1", "--label-column=0"], "got the columns '1', '0'"),
        (["--no-header=false", "--format=jsonl"], "--no-header: is for csv and tsv, not for jsonl"),
        (["--label-pattern=x", "--format=csv"], "--label-pattern: is for fasta, not for csv"),
        (
            ["--label-pattern=x", "--label-from=file"],
            "--label-pattern: not allowed with --label-from: the label is in the header, or in the",
        ),
        (["--delimiter=;", "--format=parquet"], "--delimiter: is for csv and tsv, not for parquet"),
    ],
)
def test_flags_of_tables(flags: list[str], message: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_command_line([*REQUIRED, *flags])
    assert message in str(raised.value)


def test_a_label_pattern_is_a_regular_expression(capsys: pytest.CaptureFixture[str]) -> None:
    assert parse_command_line([*REQUIRED, "--label-pattern", "(a)"])[0].label_pattern == "(a)"
    with pytest.raises(SystemExit):
        parse_command_line([*REQUIRED, "--label-pattern", "(?=a)"])
    assert "got '(?=a)', expected a regular expression of RE2" in capsys.readouterr().err


def test_columns_without_a_header_are_numbers() -> None:
    flags = ["--no-header", "--sequence-column=2", "--label-column=1"]
    options, _ = parse_command_line([*REQUIRED, *flags])
    assert options.input_options.no_header
    assert not parse_command_line([*REQUIRED, "--no-header=false"])[0].no_header


def test_defaults_are_31_positions_and_25_characters() -> None:
    options, _ = parse_command_line(REQUIRED)
    assert (options.max_length, options.num_characters, options.unknown_id) == (31, 25, 26)


def test_auto_is_the_most_there_may_be_until_it_is_chosen() -> None:
    flags = [*REQUIRED, "--max-length", "auto", "--alphabet-size=auto"]
    options, _ = parse_command_line(flags)
    assert (options.max_length, options.alphabet_size) == ("auto", "auto")
    assert (options.num_positions, options.num_characters, options.unknown_id) == (1024, 8192, 8193)
    one_hot, _ = parse_command_line([*flags, "--encoding", "one_hot"])
    assert one_hot.num_characters == 256
    chosen = replace(options, chosen_length=7).with_alphabet("ACDE")
    assert (chosen.num_positions, chosen.num_characters, chosen.unknown_id) == (7, 4, 5)
    assert chosen.row_rules.max_length == 7
    assert chosen.to_json() == options.to_json()
    assert (options.to_json()["max_length"], options.to_json()["alphabet_size"]) == ("auto", "auto")


def test_a_number_that_was_asked_for_is_not_replaced() -> None:
    options, _ = parse_command_line([*REQUIRED, "--alphabet-size", "9"])
    assert options.with_alphabet("ACDE") is options


@pytest.mark.parametrize("flag", ["--max-length", "--alphabet-size"])
def test_a_size_is_a_number_or_auto(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    for value in ("Auto", "1.5", ""):
        with pytest.raises(SystemExit):
            parse_command_line([*REQUIRED, f"{flag}={value}"])
        assert f"{flag}: got {value!r}, expected a whole number or auto" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        parse_command_line(["--help"])
    assert f"{flag} N|auto" in capsys.readouterr().out


def test_options_in_json_hold_the_number_of_characters() -> None:
    names = list(Options(input=("a", "b"), output="out").to_json())
    assert names == [
        *("input", "format", "label_from", "label_pattern", "sequence_column", "label_column"),
        *("weight_column", "delimiter", "no_header", "normalize", "lowercase", "strip", "encoding"),
        *("max_length", "alphabet", "alphabet_size", "too_long", "split", "num_shards"),
        *("compression", "seed", "max_rejected_fraction", "max_labels"),
        *("min_label_rows", "rare_label_as", "overwrite"),
        *("train_input", "validation_input", "test_input", "split_column", "split_values"),
        *("time_column", "validation_from", "test_from", "stratify", "group_column", "similar"),
        *("similar_policy", "max_cluster_share", "folds", "leaks"),
    ]
    learned = Options(input=("a", "b"), output="out").to_json()
    assert (learned["input"], learned["alphabet"], learned["alphabet_size"]) == (
        ["a", "b"],
        None,
        25,
    )
    fixed = Options(input=("a",), output="out", alphabet="ACDE").to_json()
    assert (fixed["alphabet"], fixed["alphabet_size"]) == ("ACDE", 4)


def test_text_takes_its_label_from_the_path() -> None:
    options, _ = parse_command_line([*REQUIRED, "--format", "text", "--label-from", "directory"])
    assert (options.format, options.label_from) == ("text", "directory")
    options, _ = parse_command_line([*REQUIRED, "--label-from", "file"])
    assert (options.format, options.label_from) == ("auto", "file")


def test_a_split_is_exact_and_in_order() -> None:
    assert parse_split("test=0.1,train=0.9") == {
        "train": Fraction(9, 10),
        "validation": Fraction(0),
        "test": Fraction(1, 10),
    }


@pytest.mark.parametrize(
    ("text", "train"),
    [
        ("train=0.7,validation=0.30000000000000004", Fraction(7, 10)),
        ("train=1/3,validation=1/3,test=1/3", Fraction(1, 3)),
        ("train=333333333e-9,test=0.666666667", Fraction(333_333_333, 10**9)),
        ("train=1.000,test=0e9", Fraction(1)),
    ],
)
def test_shares_as_programs_write_them(text: str, train: Fraction) -> None:
    fractions = parse_split(text)
    assert fractions["train"] == pytest.approx(train, abs=1e-16)
    assert sum(fractions.values()) == 1


@pytest.mark.parametrize(
    ("flags", "value"),
    [
        ([], False),
        (["--overwrite"], True),
        (["--overwrite", "--seed", "3"], True),
        (["--overwrite=true"], True),
        (["--overwrite=false"], False),
    ],
)
def test_overwrite_takes_an_optional_value(flags: list[str], value: bool) -> None:
    assert parse_command_line([*REQUIRED, *flags])[0].overwrite is value


@pytest.mark.parametrize(
    ("flags", "lowercase", "strip"),
    [
        ([], False, True),
        (["--strip=false", "--lowercase=false"], False, False),
        (["--strip", "--lowercase=true"], True, True),
        (["--no-strip", "--strip"], False, True),
        (["--lowercase", "--no-strip"], True, False),
    ],
)
def test_lowercase_and_strip_are_switches(flags: list[str], lowercase: bool, strip: bool) -> None:
    options, _ = parse_command_line([*REQUIRED, *flags])
    assert (options.lowercase, options.strip) == (lowercase, strip)


def test_overwrite_is_true_or_false(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_command_line([*REQUIRED, "--overwrite=yes"])
    assert ended.value.code == 2
    assert "got 'yes', expected true or false" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--split", "train=0.8,test=0.1"], "add up to 1, not 0.9"),
        (["--split", "train=0.5,train=0.5"], "'train' once"),
        (["--split", "training=1"], "names train, validation, test"),
        (["--split", "train=x"], "a number after '='"),
        (["--split", "test=1"], "a train share above 0"),
        (["--split", "train=2,test=-1"], "no negative share"),
        (["--split", "train=1,test=1e-400"], "got 'test=1e-400', expected a share from 0.000001"),
        (["--split", "train=1,test=1e-999999999"], "expected a share from 0.000001"),
        (["--split", "train=1e400"], "expected a share from 0.000001"),
        (["--split", "train=1e999999999"], "expected a share from 0.000001"),
        (["--split", "train=nan"], "expected a share from 0.000001"),
        (["--split", "train=0.9999999,test=0.0000001"], "expected a share from 0.000001"),
        (["--split", "train=1,test=0.00001"], "add up to 1, not 1.00001"),
        (["--split", "train=0.001,test=0.999", "--num-shards", "200"], "have 200,000 files"),
        (["--num-shards", "100000"], "--num-shards: got 100000, expected 1 to 99999"),
        (["--alphabet-size", "9999999"], "--alphabet-size: got 9999999, expected 1 to 1112064"),
        (["--seed", str(2**63)], "expected 0 to 2**63 - 1"),
        (["--max-length", "0"], "--max-length: got 0"),
        (["--alphabet-size", "0"], "--alphabet-size: got 0"),
        (["--num-shards", "0"], "--num-shards: got 0"),
        (["--seed", "-1"], "--seed: got -1"),
        (["--max-labels", "1"], "--max-labels: got 1"),
        (["--min-label-rows", "0"], "--min-label-rows: got 0"),
        (["--rare-label-as", "other"], "--rare-label-as: only with --min-label-rows"),
        (["--min-label-rows", "2", "--rare-label-as", " "], "--rare-label-as: got ' '"),
        (["--max-rejected-fraction", "1.5"], "--max-rejected-fraction: got 1.5"),
        (["--alphabet", "ABA"], "each of them once"),
        (["--alphabet", ""], "--alphabet: got ''"),
        (["--min-label-rows", "2", "--rare-label-as", "rare "], "without blanks at its ends"),
        (["--alphabet", "abe\u0301"], "expected characters in NFC"),
        (["--alphabet", "abC", "--lowercase"], "in lowercase with --lowercase"),
        (["--alphabet", "AB", "--alphabet-size", "2"], "not allowed with --alphabet"),
        (["--alphabet", "AB", "--alphabet-size", "auto"], "not allowed with --alphabet"),
        (["--alphabet", "AB", "--alphabet-of", "data"], "not allowed with --alphabet"),
        (["--alphabet-of", "data", "--alphabet-size", "2"], "not allowed with --alphabet-of"),
        (["--format", "text"], "say --label-from directory"),
        (["--label-from", "file", "--format", "csv"], "not allowed with --format csv"),
        (["--label-from", "file", "--label-column", "y"], "--label-column: not allowed with"),
        (["--label-from", "file", "--sequence-column", "s"], "--sequence-column: not allowed"),
        (["--label-column", "sequence"], "another column than --sequence-column"),
    ],
)
def test_a_wrong_value_is_a_usage_error_with_its_flag(flags: list[str], said: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_command_line([*REQUIRED, *flags])
    assert said in str(raised.value)

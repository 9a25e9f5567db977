"""Flags in a file, and the file that repeats a command."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charseq.errors import UsageError
from charseq.options_file import to_toml
from pipeline.inspect import parse_command_line as parse_inspect
from pipeline.options import Options, parse_command_line
from pipeline.predict.options import PredictOptions
from pipeline.predict.options import parse_command_line as parse_predict
from pipeline.split_options import SplitOptions
from trainer.config import Config, Interval
from trainer.config import parse_command_line as parse_config

pytestmark = [
    pytest.mark.unit,
    pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 reads no TOML"),
]


def write(tmp_path: Path, text: str) -> str:
    path = tmp_path / "options.toml"
    path.write_text(text)
    return str(path)


def test_what_the_command_line_says_counts_before_the_file(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        'input = ["a.csv", "b.csv"]\noutput = "o"\nmax-length = "auto"\nseed = 3\nstrip = false\n'
        'max_rejected_fraction = 0.5\nstratify = true\n[beam]\nrunner = "FlinkRunner"\n'
        "save_main_session = true\nstreaming = false\n",
    )
    options, beam_flags = parse_command_line(["--options", path])
    assert options == Options(
        input=("a.csv", "b.csv"),
        output="o",
        max_length="auto",
        seed=3,
        strip=False,
        max_rejected_fraction=0.5,
        splits=SplitOptions(stratify=True),
    )
    assert beam_flags == ["--runner=FlinkRunner", "--save_main_session"]
    options, _ = parse_command_line(
        [f"--options={path}", "--input", "c.csv", "--strip", "--seed=4"]
    )
    assert (options.input, options.strip, options.seed) == (("c.csv",), True, 4)
    assert options.max_length == "auto"


def test_positional_values_and_lists_of_one_flag(tmp_path: Path) -> None:
    options, _ = parse_inspect(["d", "--options", write(tmp_path, "verify = true\n")])
    assert (options.dataset, options.verify) == ("d", True)
    with pytest.raises(UsageError, match="no option 'dataset'"):
        parse_inspect(["d", "--options", write(tmp_path, 'dataset = "e"\n')])
    text = 'input = "i"\noutput = "o"\ntime-column = "t"\ntest-from = 2026-01-31\n'
    prepared, _ = parse_command_line(["--options", write(tmp_path, text)])
    assert prepared.splits.test_from == "2026-01-31"
    text = 'data = "d"\noutput = "o"\nunits = [8, 4]\nfrom = "r"\nmixed-precision = false\n'
    config = parse_config(["--options", write(tmp_path, text)])
    assert (config.units, config.from_, config.mixed_precision) == ((8, 4), "r", False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seeds = 3", "--options: {path}: no option 'seeds'; is 'seed' meant?"),
        ("zzz = 3", "--options: {path}: no option 'zzz'"),
        ("seed = {a = 1}", "--seed: got {{'a': 1}}, expected text, a number, true, false or a"),
        ("max-length = 3\nmax_length = 4", "--options: {path}: 'max-length' is there twice"),
        ('sequence-column = "a\\u0000"', "--sequence-column: got 'a\\x00', expected text without"),
        ("seed = ", "--options: {path}: Invalid value (at "),
        ("beam = 3", "--options: {path}: beam is 3, expected a table, as [beam]"),
        (b"\xff", "--options: {path}: 'utf-8' codec can't decode byte 0xff"),
        (None, "--options: {path}: No such file or directory"),
    ],
)
def test_a_file_that_cannot_be_used(tmp_path: Path, text: str | bytes | None, message: str) -> None:
    path = tmp_path / "options.toml"
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UsageError) as refused:
        parse_command_line(["--options", str(path), "--input", "i", "--output", "o"])
    assert str(refused.value).startswith(message.format(path=path))


def test_a_path_that_is_not_utf8_is_left_out() -> None:
    text = Options(input=("a\udcf1.csv",), output="o", seed=3).to_toml()
    assert text.splitlines()[1:] == ["# input is left out: it is not UTF-8", "seed = 3"]


@pytest.mark.parametrize("argv", [["--options"], ["--options", "a", "--options", "b"]])
def test_there_is_one_file(argv: list[str]) -> None:
    with pytest.raises(UsageError, match=r"^--options: expected one file"):
        parse_command_line(argv)


@pytest.mark.parametrize(
    "options",
    [
        Options(input=("a b.csv", 's3://b/"x".csv'), output="o"),
        Options(
            input=("i",),
            output="o",
            delimiter="\t",
            alphabet="A\\é\"'",
            normalize="none",
            strip=False,
        ),
        Options(
            input=("i",),
            output="o",
            splits=SplitOptions(split_column="p", split_values="token=test"),
        ),
        Options(output="o", splits=SplitOptions(train_input=("a", "b"), test_input=("c",))),
        Options(input=("i",), output="o", min_label_rows=3, rare_label_as="other, ones"),
        Options(input=("i",), output="o", no_header=False, label_column="2"),
    ],
)
def test_the_file_of_a_dataset_repeats_its_command(tmp_path: Path, options: Options) -> None:
    path = write(tmp_path, options.to_toml())
    assert parse_command_line(["--options", path, "--output", "o"]) == (options, [])


def test_the_alphabet_of_another_dataset_is_taken_again(tmp_path: Path) -> None:
    options = Options(input=("i",), output="o", alphabet_of="d")
    taken = replace(options, alphabet="AC", alphabet_size=2)
    path = write(tmp_path, taken.to_toml())
    assert parse_command_line(["--options", path, "--output", "o"]) == (options, [])


@pytest.mark.parametrize("several", [False, True])
def test_the_files_of_runs_and_predictions_repeat_their_commands(
    tmp_path: Path, several: bool
) -> None:
    config = Config(
        data=(str(tmp_path), "s3://b/d") if several else (str(tmp_path),),
        output="o",
        units=(8, 4),
        devices=("CPU:0", "CPU:1"),
        checkpoint_every=Interval(steps=5),
        fold=None if several else 2,
        seed=7,
    )
    path = write(tmp_path, config.to_toml())
    assert parse_config(["--options", path, "--output", "o"]) == config
    predict = PredictOptions(
        "m", ("i",), "o", id_column="n", keep=("a,b", " c"), with_sequence=True
    )
    path = write(tmp_path, predict.to_toml())
    assert parse_predict(["--options", path, "--output", "o"]) == (predict, [])


def test_no_secret_is_in_the_file() -> None:
    options = Options(input=("https://user:password1234@host/a.csv",), output="o")
    assert "password1234" not in options.to_toml()


VALUES = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.lists(st.text(st.characters(exclude_categories=["Cs"]))),
)


@given(VALUES)
def test_any_value_is_read_as_it_was_written(value: Any) -> None:
    import tomllib

    assert tomllib.loads(to_toml({"a_b": value}, "comment")) == {"a-b": value}

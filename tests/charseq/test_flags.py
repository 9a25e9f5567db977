"""Command lines from dataclasses."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from charseq.errors import UsageError
from charseq.flags import Flag, flag, flag_name, make_parser, parse, parse_known, require, validate

pytestmark = pytest.mark.unit


class Pair(NamedTuple):
    """A value of its own type, which is a tuple to Python."""

    low: float
    high: float


def parse_pair(text: str) -> Pair:
    low, separator, high = text.partition("-")
    if not separator:
        raise ValueError(f"got {text!r}, expected two numbers such as 1-2")
    return Pair(float(low), float(high))


def parse_switch(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(f"got {text!r}, expected true or false")
    return text == "true"


@dataclass(frozen=True)
class Limits:
    keep: int = flag("number of versions", default=5, minimum=1, only_with="name")

    def __post_init__(self) -> None:
        validate(self)


@dataclass(frozen=True)
class Options:
    input: tuple[str, ...] = flag("files", metavar="GLOB")
    max_length: int = flag("length", default=31, metavar="N", minimum=1)
    fraction: float = flag("fraction", default=0.5, minimum=0, maximum=1)
    dropout: float | None = flag("dropout", default=None, minimum=0, below=1)
    rate: float = flag("rate", default=0.25, above=0)
    share: float = flag("share", default=0.75, above=0, below=1)
    seed: int = flag("seed", default=0, minimum=0, maximum=2**32 - 1)
    units: tuple[int, ...] = flag(
        "units",
        default=(8, 4),
        parse=lambda text: tuple(map(int, text.split(","))),
        metavar="N,N",
        minimum=1,
    )
    pair: Pair = flag("pair", default=Pair(1, math.inf), parse=parse_pair)
    mode: str = flag("mode", default="auto", choices=("auto", "never"))
    name: str | None = flag("name", default=None)
    column: str = flag("column", default="label", not_with=("name", "names have no columns"))
    path: Path | None = flag("path", default=None)
    mixed_precision: bool = flag("lower precision", default=False)
    overwrite: bool = flag("replace", default=False, parse=parse_switch, const=True)
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        validate(self)


@dataclass(frozen=True)
class Actions:
    directory: str = flag("directory", metavar="DIR", positional=True)
    add: str | None = flag("add", default=None, exclusive=True)
    undo: int | None = flag("undo", default=None, exclusive=True, const=0)


def options(*argv: str) -> Options:
    parser = make_parser(Options, prog="example", description="An example.")
    return parse(Options, parser, ["--input", "a", *argv])


def actions(*argv: str) -> Actions:
    return parse(Actions, make_parser(Actions, prog="actions", description="Actions."), argv)


def test_absent_flags_leave_the_defaults() -> None:
    assert options() == Options(input=("a",))


@pytest.mark.parametrize(
    ("argv", "name", "value"),
    [
        (["--input", "b"], "input", ("a", "b")),
        (["--max-length", "7"], "max_length", 7),
        (["--fraction=0.25"], "fraction", 0.25),
        (["--dropout", "0"], "dropout", 0.0),
        (["--units", "3,2,1"], "units", (3, 2, 1)),
        (["--pair", "1-2"], "pair", Pair(1.0, 2.0)),
        (["--mode", "never"], "mode", "never"),
        (["--name", ""], "name", ""),
        (["--path", "a/b"], "path", Path("a/b")),
        (["--mixed-precision"], "mixed_precision", True),
        (["--overwrite"], "overwrite", True),
        (["--overwrite", "false"], "overwrite", False),
        (["--keep", "2", "--name", "x"], "limits", Limits(keep=2)),
    ],
)
def test_a_flag_sets_the_field_of_its_name(argv: list[str], name: str, value: object) -> None:
    assert getattr(options(*argv), name) == value


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--max-length", "few"], "argument --max-length: invalid int value: 'few'"),
        (["--mode", "always"], "argument --mode: invalid choice: 'always'"),
        (["--pair", "1"], "argument --pair: got '1', expected two numbers such as 1-2"),
        (["--overwrite=yes"], "argument --overwrite: got 'yes', expected true or false"),
        (["--max", "3"], "unrecognized arguments: --max 3"),
        (["--mixed-precision=true"], "argument --mixed-precision: ignored explicit argument"),
    ],
)
def test_a_flag_that_cannot_be_parsed_ends_with_status_2(
    argv: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        options(*argv)
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {message}")
    assert said.endswith("; see example --help\n")
    assert said.count("\n") == 1


def test_a_field_without_default_is_a_required_flag(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(Options, make_parser(Options, prog="example", description=""), [])
    assert "the following arguments are required: --input" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_length": 0}, "--max-length: got 0, expected 1 or more"),
        ({"fraction": 1.5}, "--fraction: got 1.5, expected 0 to 1"),
        ({"fraction": math.nan}, "--fraction: got nan, expected 0 to 1"),
        ({"dropout": 1.0}, "--dropout: got 1.0, expected 0 or more and below 1"),
        ({"rate": 0.0}, "--rate: got 0.0, expected a number above 0"),
        ({"share": 1.0}, "--share: got 1.0, expected a number above 0 and below 1"),
        ({"rate": math.inf}, "--rate: got inf, expected a number above 0"),
        ({"seed": 2**32}, "--seed: got 4294967296, expected 0 to 2**32 - 1"),
        ({"units": (8, 0)}, "--units: got (8, 0), expected 1 or more each"),
        ({"mode": "always"}, "--mode: got 'always', expected one of auto, never"),
    ],
)
def test_a_value_outside_the_limits_is_a_usage_error(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as raised:
        Options(input=("a",), **changes)
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--keep", "5"], "--keep: only with --name"),
        (
            ["--name", "x", "--column", "label"],
            "--column: not allowed with --name: names have no columns",
        ),
        (["--keep", "0", "--name", "x"], "--keep: got 0, expected 1 or more"),
    ],
)
def test_a_combination_of_flags_is_a_usage_error_even_with_default_values(
    argv: list[str], message: str
) -> None:
    with pytest.raises(UsageError) as raised:
        options(*argv)
    assert str(raised.value) == message


def test_unknown_flags_are_returned_in_order() -> None:
    parser = make_parser(Options, prog="example", description="")
    argv = ["--runner=Flink", "--input", "a", "--workers", "2"]
    assert parse_known(Options, parser, argv) == (
        Options(input=("a",)),
        ["--runner=Flink", "--workers", "2"],
    )


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["there", "--add", "x"], Actions("there", add="x")),
        (["--undo", "3", "there"], Actions("there", undo=3)),
        (["there", "--undo"], Actions("there", undo=0)),
    ],
)
def test_one_of_the_exclusive_flags_is_present(argv: list[str], expected: Actions) -> None:
    assert actions(*argv) == expected


@pytest.mark.parametrize("argv", [["there"], ["there", "--add", "x", "--undo"], ["--undo"]])
def test_none_or_two_of_the_exclusive_flags_end_with_status_2(argv: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        actions(*argv)
    assert ended.value.code == 2


def test_help_shows_placeholders_choices_and_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    parser = make_parser(Options, prog="example", description="An example.", epilog="The end.")
    lines = parser.format_help().splitlines()
    assert [line.strip() for line in lines[lines.index("An example.") :]] == [
        "An example.",
        "",
        "options:",
        "-h, --help            show this help message and exit",
        "--input GLOB [GLOB ...]",
        "files",
        "--max-length N        length (default: 31)",
        "--fraction FRACTION   fraction (default: 0.5)",
        "--dropout DROPOUT     dropout",
        "--rate RATE           rate (default: 0.25)",
        "--share SHARE         share (default: 0.75)",
        "--seed SEED           seed (default: 0)",
        "--units N,N           units (default: 8,4)",
        "--pair PAIR           pair (default: Pair(low=1, high=inf))",
        "--mode {auto,never}   mode (default: auto)",
        "--name NAME           name",
        "--column COLUMN       column (default: label)",
        "--path PATH           path",
        "--mixed-precision     lower precision",
        "--overwrite [OVERWRITE]",
        "replace",
        "--keep KEEP           number of versions (default: 5)",
        "--options FILE        file of flags in TOML or JSON, before those of the command line",
        "",
        "The end.",
    ]


def test_a_large_limit_is_shown_as_a_power_of_two() -> None:
    assert Flag("seed", minimum=0, maximum=2**63 - 1).expected(-1) == "0 to 2**63 - 1"
    assert Flag("share", minimum=0, maximum=10).expected(11) == "0 to 10"


def test_a_whole_number_without_a_maximum_has_64_bits() -> None:
    number = Flag("units", minimum=1)
    assert number.accepts((1, 2**63 - 1))
    assert not number.accepts((1, 2**63))
    assert number.expected((1, 2**63)) == "at most 2**63 - 1"
    assert number.expected((0, 1)) == "1 or more"
    assert number.accepts(1e300)
    assert Flag("seed", maximum=2**64).accepts(2**64)


def test_a_requirement_that_fails_names_flag_value_and_expectation() -> None:
    require(True, "--output", "a.csv", "a name ending in .csv")
    with pytest.raises(UsageError, match=r"^--output: got 'a.txt', expected a name ending in .csv"):
        require(False, "--output", "a.txt", "a name ending in .csv")


def test_a_field_name_becomes_a_flag_with_dashes() -> None:
    assert flag_name("max_rejected_fraction") == "--max-rejected-fraction"

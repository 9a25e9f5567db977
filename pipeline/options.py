"""Every option of the preparation, checked once, and the flags that set them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Protocol

from charseq.errors import UsageError

SPLITS = ("train", "validation", "test")
FORMATS = ("csv", "tsv", "jsonl", "parquet", "text")


NO_LABEL_FROM = (
    "text has no label column: say --label-from directory (…/alpha/part1.txt holds rows of alpha) "
    "or --label-from file (alpha.txt does)"
)


class InputOptions(Protocol):
    """What says which rows are read; `label_column` is None where no labels are wanted."""

    @property
    def input(self) -> tuple[str, ...]: ...
    @property
    def format(self) -> str: ...
    @property
    def label_from(self) -> str | None: ...
    @property
    def sequence_column(self) -> str: ...
    @property
    def label_column(self) -> str | None: ...


@dataclass(frozen=True)
class Options:
    """The options that decide what is written; each default stands only here.

    Raises:
        UsageError: a value is outside what its flag takes.
    """

    input: tuple[str, ...]
    output: str
    format: str = "auto"
    label_from: str | None = None
    sequence_column: str = "sequence"
    label_column: str = "label"
    encoding: str = "ids"
    max_length: int = 31
    alphabet: str | None = None
    alphabet_size: int = 25
    too_long: str = "truncate"
    split: str = "train=0.8,validation=0.1,test=0.1"
    num_shards: int | None = None
    compression: str = "none"
    seed: int = 0
    max_rejected_fraction: float = 0.01
    max_labels: int = 10_000
    overwrite: bool = False

    def __post_init__(self) -> None:
        _require(self.max_length >= 1, "--max-length", self.max_length, "1 or more")
        _require(self.alphabet_size >= 1, "--alphabet-size", self.alphabet_size, "1 or more")
        _require(
            self.num_shards is None or self.num_shards >= 1,
            "--num-shards",
            self.num_shards,
            "1 or more",
        )
        _require(self.max_labels >= 2, "--max-labels", self.max_labels, "2 or more")
        _require(0 <= self.seed < 2**63, "--seed", self.seed, "0 to 2**63 - 1")
        _require(
            0 <= self.max_rejected_fraction <= 1,
            "--max-rejected-fraction",
            self.max_rejected_fraction,
            "0 to 1",
        )
        _require(
            self.sequence_column != self.label_column,
            "--label-column",
            self.label_column,
            "another column than --sequence-column",
        )
        if self.format == "text" and self.label_from is None:
            raise UsageError(NO_LABEL_FROM)
        if self.format not in ("auto", "text") and self.label_from is not None:
            raise UsageError(
                f"--label-from: not allowed with --format {self.format}, which has a label column"
            )
        if self.alphabet is not None:
            repeated = sorted({c for c in self.alphabet if self.alphabet.count(c) > 1})
            _require(
                bool(self.alphabet) and not repeated,
                "--alphabet",
                self.alphabet,
                "one or more characters, each of them once",
            )
            object.__setattr__(self, "alphabet_size", len(self.alphabet))
        _ = self.split_fractions

    @property
    def split_fractions(self) -> dict[str, Fraction]:
        """The share of each split, exact, in the order train, validation, test."""
        return parse_split(self.split)

    @property
    def unknown_id(self) -> int:
        """The id of a character outside the alphabet; 0 is padding, 1… the alphabet."""
        return self.alphabet_size + 1


def _require(holds: bool, flag: str, value: object, expected: str) -> None:
    if not holds:
        raise UsageError(f"{flag}: got {value!r}, expected {expected}")


def parse_split(text: str) -> dict[str, Fraction]:
    """Read `train=0.8,validation=0.1,test=0.1`; a split left out has share 0.

    Raises:
        UsageError: a name or number is wrong, train is empty, or the sum is not 1.
    """
    shares = dict.fromkeys(SPLITS, Fraction(0))
    for part in text.split(","):
        name, _, number = part.strip().partition("=")
        _require(name in SPLITS, "--split", text, f"the names {', '.join(SPLITS)}")
        _require(not shares[name], "--split", text, f"{name!r} once")
        try:
            shares[name] = Fraction(number)
        except (ValueError, ZeroDivisionError):
            raise UsageError(f"--split: got {part!r}, expected a number after '='") from None
        _require(shares[name] >= 0, "--split", text, "no negative share")
    total = sum(shares.values())
    _require(total == 1, "--split", text, f"shares that add up to 1, not {float(total):g}")
    _require(shares["train"] > 0, "--split", text, "a train share above 0")
    return shares


def parse_command_line(argv: Sequence[str] | None) -> tuple[Options, list[str]]:
    """The project's options, and every other flag, which is Beam's.

    Raises:
        UsageError: a value is outside what its flag takes.
        SystemExit: argparse's own: --help, or a flag that cannot be read (status 2).
    """
    parsed, beam_flags = make_parser().parse_known_args(argv)
    values = vars(parsed)
    if values["alphabet"] is not None and values["alphabet_size"] is not None:
        raise UsageError("--alphabet-size: not allowed with --alphabet, which sets the size itself")
    for name in ("sequence_column", "label_column"):
        if values["label_from"] is not None and values[name] is not None:
            flag = name.replace("_", "-")
            raise UsageError(f"--{flag}: not allowed with --label-from: text has no columns")
    given = {name: value for name, value in values.items() if value is not None}
    return Options(**{**given, "input": tuple(given["input"])}), beam_flags


def make_parser() -> argparse.ArgumentParser:
    """The flags of the command line; what each sets is None where it is not given."""
    default = {field.name: field.default for field in fields(Options)}
    parser = argparse.ArgumentParser(
        prog="python -m pipeline",
        allow_abbrev=False,
        description="Prepare labelled character sequences: text files in, TFRecords out.",
        epilog="Every other flag goes to Apache Beam as it is, for example --runner=FlinkRunner "
        "or --direct_num_workers=2. Exit status: 0 done, 1 the input cannot be used or the run "
        "failed, 2 the command line is wrong, 143 ended by SIGTERM.",
    )

    def add(flag: str, text: str, **settings: object) -> None:
        shown = default[flag[2:].replace("-", "_")]
        if isinstance(shown, (str, int, float)) and not isinstance(shown, bool):
            text = f"{text} (default: {shown})"
        parser.add_argument(flag, help=text, **settings)  # type: ignore[arg-type]

    add("--input", "file or glob, also s3:// or gs://; may be repeated",
        action="append", required=True, metavar="GLOB")  # fmt: skip
    add("--output", "dataset directory to write, also s3:// or gs://",
        required=True, metavar="DIR")  # fmt: skip
    add("--format", "of the input; auto follows the file name", choices=("auto", *FORMATS))
    add("--label-from", "text, one sequence a line: the label is the name of the file's directory, "
        "or of the file without suffixes", choices=("directory", "file"))  # fmt: skip
    add("--sequence-column", "column with the characters", metavar="NAME")
    add("--label-column", "column with the label", metavar="NAME")
    add("--encoding", "ids (max-length,) or one_hot (max-length, alphabet-size)",
        choices=("ids", "one_hot"))  # fmt: skip
    add("--max-length", "positions in a record", type=int, metavar="N")
    add("--alphabet", "the characters in id order; learned if not given", metavar="CHARACTERS")
    add("--alphabet-size", "how many characters to learn, the most frequent of the train split",
        type=int, metavar="N")  # fmt: skip
    add("--too-long", "what to do with a longer sequence", choices=("truncate", "reject"))
    add("--split", "share of each split", metavar="SHARES")
    add("--num-shards", "files of the train split (default: follows the rows)",
        type=int, metavar="N")  # fmt: skip
    add("--compression", "of the shards", choices=("none", "gzip"))
    add("--seed", "of the hash that splits and shuffles", type=int, metavar="N")
    add("--max-rejected-fraction", "fail if a larger share of the rows is rejected",
        type=float, metavar="F")  # fmt: skip
    add("--max-labels", "fail if the train split has more labels", type=int, metavar="N")
    add("--overwrite", "replace a dataset that is already there", type=_boolean, nargs="?",
        const=True, metavar="true|false")  # fmt: skip
    return parser


def _boolean(text: str) -> bool:
    """What programs give a flag that people just name.

    Raises:
        argparse.ArgumentTypeError: it is neither true nor false.
    """
    if text not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected true or false")
    return text == "true"

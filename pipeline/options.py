"""The options of a preparation, and the command line that sets them."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from itertools import chain, combinations
from typing import Any, Final, Literal

from charseq.console.redaction import redact_json
from charseq.errors import UsageError
from charseq.flags import (
    changed_options,
    flag,
    flag_defaults,
    flag_name,
    parse_boolean,
    parse_known,
    require,
    validate,
)
from charseq.flags import make_parser as make_flag_parser
from charseq.folds import fold_names
from charseq.manifest import Manifest
from charseq.options_file import to_toml
from charseq.text.normalization import Normalization
from pipeline.base import BASE_OPTIONS, REFUSED, Base
from pipeline.identity import MIN_RANGE_BITS, Identity
from pipeline.input_options import (
    DEFAULT_COLUMNS,
    DELIMITER_HELP,
    FORMAT_HELP,
    FORMATS,
    FORMATS_WITHOUT_COLUMNS,
    INPUT_HELP,
    NO_HEADER_HELP,
    NO_LABEL_FROM,
    WEIGHT_COLUMN,
    InputOptions,
    parse_delimiter,
    switch,
)
from pipeline.label_pattern import parse_label_pattern
from pipeline.plan_options import PlanOptions
from pipeline.split_fractions import parse_split
from pipeline.split_options import SplitOptions

Auto = Literal["auto"]
AUTO: Final[Auto] = "auto"  # The value of --max-length and --alphabet-size that fits the data.
DEFAULT_MAX_LENGTH = 31
MAX_AUTO_LENGTH = 1024
DEFAULT_ALPHABET_SIZE = 25
# A one-hot record has a float for each character at each position.
MAX_AUTO_CHARACTERS = {"ids": 8192, "one_hot": 256}
NUM_CHARACTERS = 0x110000 - 0x800  # all code points of Unicode but the surrogates
MAX_SHARDS = 99_999  # of all splits: the names of files have five digits
BEAM_FLAGS_HELP = (
    "Every other flag is passed to Apache Beam, for example --runner=PortableRunner or "
    "--direct_num_workers=2; one that Beam itself does not know, as --beam-flag=--NAME=VALUE."
)
# The fields that `dataset.json` compares by the files that they match.
INPUT_FIELDS = ("input", "train_input", "validation_input", "test_input")
_NO_COLUMNS = ("label_from", "text and fasta have no columns")


@dataclass(frozen=True)
class RowRules:
    """The rules for usable rows; label_column: None if a row needs no label.

    normalization: of sequences; labels are never lowercased. splits: how the splits of rows are
    found. columns: the flags of the other columns that are read. keeps_others: whether other
    columns are carried through as they are read.
    """

    max_length: int
    too_long: str
    label_column: str | None
    normalization: Normalization
    splits: SplitOptions = field(default_factory=SplitOptions)
    columns: tuple[str, ...] = ()
    keeps_others: bool = False


def parse_number_or_auto(text: str) -> int | Auto:
    """Return the number that a text holds, or AUTO.

    Raises:
        ValueError: it is neither.
    """
    if text == AUTO:
        return AUTO
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"got {text!r}, expected a whole number or auto") from None


def require_input(paths: Sequence[str]) -> None:
    """Check that there is an input.

    Raises:
        UsageError: there is none.
    """
    if not paths:
        raise UsageError(
            "--input: is missing; or give each split its own, with --train-input and "
            "--validation-input or --test-input"
        )


@dataclass(frozen=True)
class Options:
    """The options of a preparation.

    max_length: as asked for; read `num_positions`. alphabet: None learns the alphabet from the
    train split. alphabet_of: a dataset; `with_alphabet_of` takes its alphabet. alphabet_size: as
    asked for, None follows `alphabet` or is DEFAULT_ALPHABET_SIZE; read `num_characters`.
    num_shards: None follows the number of rows. chosen_length, chosen_characters: what was chosen
    for AUTO, None as long as it is not; no flags. range_bits: the keys of --similar are joined in
    2**range_bits ranges; no flag. base: `with_base` takes the options of these datasets, which are
    then in added_to; no flag.

    Raises:
        UsageError: a value is outside the limits of its flag, or two values exclude each other.
    """

    output: str = flag(
        "dataset directory to write, also s3:// or gs://", metavar="DIR", is_path=True
    )
    input: tuple[str, ...] = flag(INPUT_HELP, default=(), metavar="PATH", is_path=True)
    format: str = flag(FORMAT_HELP, default="auto", choices=("auto", *FORMATS))
    label_from: str | None = flag(
        "for text and fasta: the label is the name of the directory, or of the file without "
        "suffixes",
        default=None,
        choices=("directory", "file"),
    )
    label_pattern: str | None = flag(
        "for fasta: regular expression that finds the label in a header, by its first group "
        "(default: the last field after | or a space)",
        default=None,
        parse=parse_label_pattern,
        metavar="REGEX",
        not_with=("label_from", "the label is in the header, or in the path"),
    )
    sequence_column: str = flag(
        "column of the sequences",
        default=DEFAULT_COLUMNS[0],
        metavar="NAME",
        not_with=_NO_COLUMNS,
    )
    label_column: str = flag(
        "column of the labels",
        default=DEFAULT_COLUMNS[1],
        metavar="NAME",
        not_with=_NO_COLUMNS,
    )
    weight_column: str | None = flag(
        "column of the weight of each row, a number from 0: how much it counts in training and in "
        "weighted metrics",
        default=None,
        metavar="NAME",
    )
    delimiter: str | None = flag(
        DELIMITER_HELP, default=None, parse=parse_delimiter, metavar="CHARACTER"
    )
    no_header: bool | None = flag(
        NO_HEADER_HELP, default=None, parse=parse_boolean, const=True, metavar="true|false"
    )
    normalize: str = flag(
        "Unicode form of sequences and labels: nfc makes composed and decomposed letters equal",
        default="nfc",
        choices=("nfc", "none"),
    )
    lowercase: bool = switch("lowercase sequences", default=False)
    strip: bool = switch(
        "remove white space, byte order marks and zero-width spaces at both ends of sequences "
        "and labels",
        default=True,
    )
    encoding: str = flag(
        "encoding of a sequence: ids of shape (max-length,), or one_hot of shape "
        "(max-length, alphabet-size)",
        default="ids",
        choices=("ids", "one_hot"),
    )
    max_length: int | Auto = flag(
        "number of positions in a record; auto: as few as leave 99 of 100 usable rows whole, at "
        f"most {MAX_AUTO_LENGTH}, for which the input is read once more",
        default=DEFAULT_MAX_LENGTH,
        parse=parse_number_or_auto,
        metavar="N|auto",
        minimum=1,
    )
    alphabet: str | None = flag(
        "characters in id order; learned if absent", default=None, metavar="CHARACTERS"
    )
    alphabet_of: str | None = flag(
        "dataset directory whose alphabet, and its size, to take, so that a model trained on one "
        "can go on with the other",
        default=None,
        metavar="DIR",
        is_path=True,
        not_with=("alphabet", "both set the alphabet"),
    )
    alphabet_size: int | Auto | None = flag(
        "number of characters to learn, the most frequent ones of the train split; auto: as few "
        f"as make up 9999 of 10000 in its text, at most {MAX_AUTO_CHARACTERS['ids']}, or "
        f"{MAX_AUTO_CHARACTERS['one_hot']} with one_hot "
        f"(default: {DEFAULT_ALPHABET_SIZE})",
        default=None,
        parse=parse_number_or_auto,
        metavar="N|auto",
        minimum=1,
        maximum=NUM_CHARACTERS,
        not_with=("alphabet", "which sets the size itself"),
    )
    too_long: str = flag(
        "treatment of longer sequences", default="truncate", choices=("truncate", "reject")
    )
    split: str = flag(
        "fraction of each split", default="train=0.8,validation=0.1,test=0.1", metavar="FRACTIONS"
    )
    num_shards: int | None = flag(
        "number of files of the train split, or of each fold (default: follows the number of rows)",
        default=None,
        metavar="N",
        minimum=1,
        maximum=MAX_SHARDS,
    )
    compression: str = flag("compression of the shards", default="none", choices=("none", "gzip"))
    seed: int = flag(
        "seed of the hash that splits and shuffles",
        default=0,
        metavar="N",
        minimum=0,
        maximum=2**63 - 1,
    )
    max_rejected_fraction: float = flag(
        "fail if a larger fraction of the rows is rejected, those with a label that no train row "
        "has included",
        default=0.01,
        metavar="F",
        minimum=0,
        maximum=1,
    )
    max_labels: int = flag(
        "fail if the train split has more labels", default=10_000, metavar="N", minimum=2
    )
    min_label_rows: int = flag(
        "reject the rows of labels that have fewer usable rows in the whole input, duplicates "
        "included; they do not count in --max-rejected-fraction",
        default=1,
        metavar="N",
        minimum=1,
    )
    rare_label_as: str | None = flag(
        "join the labels with fewer than --min-label-rows rows under this name instead",
        default=None,
        metavar="NAME",
        only_with="min_label_rows",
    )
    overwrite: bool = switch("replace an existing dataset", default=False)
    base: tuple[str, ...] = flag(
        "datasets to add rows to, all that add to each other: alphabet, labels, options and seed "
        "are theirs, rows that they have are duplicates, and only new rows are written",
        default=(),
        metavar="DIR",
        is_path=True,
        not_with=("alphabet_of", "the alphabet is that of the base"),
    )
    chosen_length: int | None = None
    added_to: Base | None = None
    range_bits: int = MIN_RANGE_BITS
    chosen_characters: int | None = None
    splits: SplitOptions = field(default_factory=SplitOptions)
    planning: PlanOptions = field(default_factory=PlanOptions)

    def __post_init__(self) -> None:
        validate(self)
        require_input(self.input or self.splits.train_input)
        self._check_labels()
        _ = self.input_options  # which checks itself
        self._check_alphabet()
        self._check_shards()
        self._check_base()

    def _check_base(self) -> None:
        if not self.base:
            return
        changed = changed_options(self)
        for name in REFUSED:
            if name in changed:
                raise UsageError(
                    f"--base: not allowed with {flag_name(name)}: rows are split as the base is"
                )

    def _check_shards(self) -> None:
        fractions = list(self.split_fractions.values())
        if self.splits.folds is not None:
            is_default = self.split == flag_defaults(Options)["split"]
            require(is_default, "--split", self.split, "none with --folds, which are equal")
        if self.num_shards is not None:
            shards = sum(math.ceil(self.num_shards * share / fractions[0]) for share in fractions)
            require(
                shards <= MAX_SHARDS,
                "--num-shards",
                self.num_shards,
                f"fewer: all splits have {shards:,} files together, of {MAX_SHARDS:,} at most",
            )

    def _check_labels(self) -> None:
        columns = {
            "--sequence-column": self.sequence_column,
            "--label-column": self.label_column,
            **dict(self.other_columns),
        }
        for first, second in combinations(columns, 2):
            is_other = columns[first] != columns[second]
            require(is_other, second, columns[second], f"another column than {first}")
        if self.rare_label_as is not None:
            require(
                self.rare_label_as.strip() != "" and not set("\r\n") & set(self.rare_label_as),
                "--rare-label-as",
                self.rare_label_as,
                "a name without line breaks",
            )
        if self.format == "text" and self.label_from is None:
            raise UsageError(NO_LABEL_FROM)
        if self.format not in ("auto", *FORMATS_WITHOUT_COLUMNS) and self.label_from is not None:
            raise UsageError(
                f"--label-from: not allowed with --format {self.format}, which has a label column"
            )

        require(
            not replace(self.normalization, lowercase=False).changes(self.rare_label_as or ""),
            "--rare-label-as",
            self.rare_label_as,
            "a name in NFC without blanks at its ends, as labels are with --normalize and --strip",
        )

    def _check_alphabet(self) -> None:
        if self.alphabet is None:
            if self.alphabet_of is not None and self.alphabet_size is not None:
                raise UsageError(
                    "--alphabet-size: not allowed with --alphabet-of, which sets the size itself"
                )
            return
        name = "--alphabet" if self.alphabet_of is None else "--alphabet-of"
        require(
            0 < len(self.alphabet) == len(set(self.alphabet)),
            name,
            self.alphabet,
            "one or more characters, each of them once",
        )
        inside = replace(self.normalization, strip=False)
        require(
            not inside.changes(self.alphabet),
            name,
            self.alphabet,
            "characters in NFC, in lowercase with --lowercase: no other is in a sequence",
        )

    @property
    def paths(self) -> tuple[str, ...]:
        """The files, directories and globs that a preparation reads or writes."""
        return tuple(filter(None, (*self.all_inputs, self.output, self.alphabet_of, *self.base)))

    @property
    def all_inputs(self) -> tuple[str, ...]:
        """The files, directories and globs to read, of all splits."""
        return self.input or tuple(chain.from_iterable(self.splits.inputs.values()))

    @property
    def num_positions(self) -> int:
        """The number of positions in a record; the greatest for AUTO, until it is chosen."""
        if self.max_length == AUTO:
            return self.chosen_length or MAX_AUTO_LENGTH
        return self.max_length

    @property
    def num_characters(self) -> int:
        """The size of the alphabet, which has the ids from 1; the greatest for AUTO, until chosen.

        An alphabet may have fewer characters than a number that was asked for.
        """
        if self.alphabet_size == AUTO:
            return self.chosen_characters or MAX_AUTO_CHARACTERS[self.encoding]
        if self.alphabet_size is not None:
            return self.alphabet_size
        return DEFAULT_ALPHABET_SIZE if self.alphabet is None else len(self.alphabet)

    def with_alphabet_of(self, manifest: Manifest) -> Options:
        """Return the options with the alphabet of a dataset, and with its size."""
        return replace(
            self, alphabet="".join(manifest.alphabet), alphabet_size=manifest.alphabet_size
        )

    def with_base(self, base: Base) -> Options:
        """Return the options that rows have which are added to a base.

        Raises:
            UsageError: an option is neither left out nor that of the base.
        """
        has_groups = self.splits.group_column is not None
        if has_groups != base.has_groups:
            raise UsageError(
                f"--group-column: {'not ' if has_groups else ''}what {base.members[0].directory} "
                f"was split by: with --base, {'leave it out' if has_groups else 'give it, too'}"
            )
        defaults = flag_defaults(Options)
        for name, value in base.options.items():
            asked = getattr(self.splits if name == "stratify" else self, name)
            if asked not in (value, defaults[name]):
                raise UsageError(
                    f"{flag_name(name)}: got {asked!r}, but "
                    f"{base.members[0].directory} has {value!r}: with --base, leave it out"
                )
        manifest = base.first
        return replace(
            self,
            **{name: value for name, value in base.options.items() if name in BASE_OPTIONS}
            | {
                "max_length": manifest.max_length,
                "alphabet": "".join(manifest.alphabet),
                "alphabet_size": manifest.alphabet_size,
                "splits": replace(self.splits, stratify=bool(base.options.get("stratify"))),
                "added_to": base,
            },
        )

    def with_alphabet(self, alphabet: Sequence[str]) -> Options:
        """Return the options with the size of what was learned, if that was to be chosen."""
        if self.alphabet_size != AUTO:
            return self
        return replace(self, chosen_characters=len(alphabet))

    @property
    def unknown_id(self) -> int:
        """The id of a character outside the alphabet; 0 is padding."""
        return self.num_characters + 1

    @property
    def identity(self) -> Identity:
        """What --similar asks of two sequences, where it is given."""
        return Identity(Fraction(str(self.splits.similar)), self.num_positions)

    @property
    def split_fractions(self) -> dict[str, Fraction]:
        """The exact fraction of each split, in the order train, validation, test; or of folds."""
        if self.splits.folds is not None:
            return {name: Fraction(1, self.splits.folds) for name in fold_names(self.splits.folds)}
        return parse_split(self.split)

    @property
    def normalization(self) -> Normalization:
        """What is done to a sequence before it is cut."""
        return Normalization(self.normalize == "nfc", self.lowercase, self.strip)

    @property
    def other_columns(self) -> tuple[tuple[str, str], ...]:
        """The flag and the name of each column that is read beside sequence and label."""
        weight = () if self.weight_column is None else ((WEIGHT_COLUMN, self.weight_column),)
        return (*self.splits.columns, *weight)

    @property
    def input_options(self) -> InputOptions:
        """The options that decide which rows are read."""
        return InputOptions(
            self.all_inputs,
            self.format,
            self.label_from,
            self.sequence_column,
            self.label_column,
            self.delimiter,
            self.no_header,
            self.label_pattern,
            self.other_columns,
            self.splits.inputs,
        )

    @property
    def row_rules(self) -> RowRules:
        """The options that decide which rows are usable."""
        return RowRules(
            self.num_positions,
            self.too_long,
            self.label_column,
            self.normalization,
            self.splits,
            tuple(flag for flag, _ in self.other_columns),
        )

    def to_toml(self) -> str:
        """Return the options that differ from their defaults, without secrets, for `--options`."""
        values = changed_options(self)
        # With --alphabet-of, the alphabet and its size are those of that dataset.
        of_dataset: tuple[str, ...] = ()
        if self.alphabet_of is not None:
            of_dataset = ("alphabet", "alphabet_size")
        if self.base:
            of_dataset = (*BASE_OPTIONS, "stratify")
        for name in ("output", "overwrite", "plan", "core_hour_price", *of_dataset):
            values.pop(name, None)
        command = "python -m pipeline --options options.toml --output DIR"
        paths = {name: redact_json(values[name]) for name in INPUT_FIELDS if name in values}
        return to_toml({**values, **paths}, command)

    def to_json(self) -> dict[str, Any]:
        """Return the options as `dataset.json` holds them: as asked for, without secrets.

        `output` is left out: they are the same in any directory.
        """
        options = {
            **asdict(replace(self, added_to=None)),
            **asdict(self.splits),
            "alphabet_size": AUTO if self.alphabet_size == AUTO else self.num_characters,
        }
        options |= {name: redact_json(options[name]) for name in INPUT_FIELDS}
        for name in (
            "output",
            "alphabet_of",
            "chosen_length",
            "chosen_characters",
            "range_bits",
            "base",
            "added_to",
            "splits",
            "planning",
        ):
            del options[name]
        return options


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of `python -m pipeline`."""
    return make_flag_parser(
        Options,
        prog="python -m pipeline",
        description="Prepare labelled character sequences: text files in, TFRecords out.",
        epilog=f"{BEAM_FLAGS_HELP} Exit status: 0 done, 1 the input cannot be used or the run "
        "failed, 2 the command line is wrong, 3 most records have no character of the "
        "alphabet, 130 ended by SIGINT, 143 by SIGTERM.",
    )


def parse_command_line(argv: Sequence[str] | None) -> tuple[Options, list[str]]:
    """Return the options, and the flags to pass to Beam.

    Raises:
        UsageError, SystemExit: as `charseq.flags.parse`.
    """
    return parse_known(Options, make_parser(), argv)

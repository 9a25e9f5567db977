"""The options of a comparison, and the command line that sets them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from charseq.flags import flag, make_parser, parse_boolean, parse_known, validate
from charseq.manifest import SPLITS
from pipeline.compare.limits import parse_limits
from pipeline.compare.profile import ALL
from pipeline.input_options import (
    DELIMITER_HELP,
    FORMAT_HELP,
    FORMATS,
    NO_HEADER_HELP,
    InputOptions,
    parse_delimiter,
)
from pipeline.options import BEAM_FLAGS_HELP, Options


def check_limits(text: str) -> str:
    """Return a text of limits as it is.

    Raises:
        ValueError: it holds none.
    """
    parse_limits(text)
    return text


@dataclass(frozen=True)
class CompareOptions:
    """The options of a comparison.

    Raises:
        UsageError: a value is outside the limits of its flag, or two values exclude each other.
    """

    first: str = flag(
        "what to compare with: a dataset, a run, a SavedModel, or a registry for its current model",
        metavar="FIRST",
        is_path=True,
        positional=True,
    )
    second: str = flag(
        "what to compare: a dataset, or files of rows such as 'new/*.csv'",
        metavar="SECOND",
        is_path=True,
        positional=True,
    )
    output: str | None = flag(
        "directory to write compare.html and compare.json to",
        default=None,
        metavar="DIR",
        is_path=True,
    )
    fail_if: str | None = flag(
        "limits of changes, as 'labels>0.1,unknown>0.01', or default for those of all measures: "
        "beyond one of them the exit status is 4",
        default=None,
        parse=check_limits,
        metavar="LIMITS",
    )
    split: str | None = flag(
        "split of the first, and of a second that is a dataset (default: train, and of folds all)",
        default=None,
        choices=(*SPLITS, ALL),
    )
    other_split: str | None = flag(
        "split of a second that is a dataset, if it is another",
        default=None,
        choices=(*SPLITS, ALL),
    )
    format: str = flag(FORMAT_HELP, default=Options.format, choices=("auto", *FORMATS))
    sequence_column: str = flag(
        "column of the sequences in files", default=Options.sequence_column, metavar="NAME"
    )
    label_column: str | None = flag(
        "column of the labels in files; without it, labels are not compared",
        default=None,
        metavar="NAME",
    )
    delimiter: str | None = flag(
        DELIMITER_HELP, default=None, parse=parse_delimiter, metavar="CHARACTER"
    )
    no_header: bool | None = flag(
        NO_HEADER_HELP, default=None, parse=parse_boolean, const=True, metavar="true|false"
    )

    def __post_init__(self) -> None:
        validate(self)
        _ = self.input_options  # which checks itself

    @property
    def limits(self) -> Mapping[str, float]:
        """The limits of --fail-if; none without it."""
        return {} if self.fail_if is None else parse_limits(self.fail_if)

    @property
    def input_options(self) -> InputOptions:
        """The options that decide which rows are read, if the second is files."""
        return InputOptions(
            (self.second,),
            self.format,
            label_from=None,
            sequence_column=self.sequence_column,
            label_column=self.label_column,
            delimiter=self.delimiter,
            no_header=self.no_header,
            input_flag="SECOND",
        )


def parse_command_line(argv: Sequence[str] | None) -> tuple[CompareOptions, list[str]]:
    """Return the options, and the flags to pass to Beam.

    Raises:
        UsageError, SystemExit: as `charseq.flags.parse`.
    """
    parser = make_parser(
        CompareOptions,
        prog="python -m pipeline.compare",
        description="Compare rows with those of a dataset, or with those that a model was trained "
        "on: labels, characters, lengths, duplicates and rejected rows.",
        epilog=f"{BEAM_FLAGS_HELP} Exit status: 0 done, 1 something cannot be read, 2 the command "
        "line is wrong, 4 a change is beyond a limit of --fail-if, 130 ended by SIGINT, 143 by "
        "SIGTERM.",
    )
    return parse_known(CompareOptions, parser, argv)

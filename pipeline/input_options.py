"""The options that say how input files are read, of the preparation and of batch prediction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from charseq.errors import UsageError
from charseq.flags import flag, parse_boolean

FORMATS = ("csv", "tsv", "jsonl", "parquet", "text", "fasta")
TABLE_FORMATS = ("csv", "tsv")
FORMATS_WITHOUT_COLUMNS = ("text", "fasta")
DEFAULT_COLUMNS = ("sequence", "label")
WEIGHT_COLUMN = "--weight-column"
NO_LABEL_FROM = (
    "text has no label column: say --label-from directory (…/alpha/part1.txt holds rows of alpha) "
    "or --label-from file (alpha.txt does)"
)
INPUT_HELP = "files, directories and patterns such as 'data/*.csv', also s3:// and gs://"
FORMAT_HELP = "format of the input; auto goes by the file name"
DELIMITER_HELP = (
    "csv, tsv: the character between columns, or tab (default: a comma in csv, a tab in tsv)"
)
NO_HEADER_HELP = (
    "csv, tsv: the first row is no header, and columns are named by number, as "
    "--sequence-column 1; false: it is a header, whatever it looks like"
)


@dataclass(frozen=True)
class InputOptions:
    """The files to read and the place of a row's sequence and label in them.

    input: paths and globs. label_column: None for input that is read without labels. delimiter:
    None for that of the format. no_header: None for a header, unless it looks like a row.
    label_pattern: None for the default. others: flag and name of each other column to read.
    split_inputs: those of `input` that are of one split, by its name; empty if none are.
    input_flag: what users know `input` by.

    Raises:
        UsageError: two values exclude each other.
    """

    input: tuple[str, ...]
    format: str
    label_from: str | None
    sequence_column: str
    label_column: str | None
    delimiter: str | None = None
    no_header: bool | None = None
    label_pattern: str | None = None
    others: tuple[tuple[str, str], ...] = ()
    split_inputs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    input_flag: str = "--input"

    def __post_init__(self) -> None:
        if self.format != "auto":
            self.check_format(self.format)
        columns = [name for _, name in self.wanted_columns]
        if self.no_header and not all(map(_is_column_number, columns)):
            flags = [flag for flag, _ in self.wanted_columns]
            numbers = " ".join(f"{flag} {number}" for number, flag in enumerate(flags, 1))
            raise UsageError(
                f"--no-header: got the columns {', '.join(map(repr, columns))}, expected their "
                f"numbers, as {numbers}"
            )

    @property
    def wanted_columns(self) -> list[tuple[str, str]]:
        """The flag and the name of each column that must exist, in the order of reading."""
        label = [("--label-column", self.label_column)] if self.label_column is not None else []
        return [("--sequence-column", self.sequence_column), *label, *self.others]

    def check_format(self, form: str) -> None:
        """Check that the options are those of files of the format `form`.

        Raises:
            UsageError: a flag is set that is for other formats.
        """
        flags = {"--delimiter": self.delimiter, "--no-header": self.no_header}
        for name, value in flags.items():
            if value is not None and form not in TABLE_FORMATS:
                raise UsageError(f"{name}: is for {' and '.join(TABLE_FORMATS)}, not for {form}")
        if self.others and form in FORMATS_WITHOUT_COLUMNS:
            raise UsageError(f"{self.others[0][0]}: is for formats with columns, not for {form}")
        if self.label_pattern is not None and form != "fasta":
            raise UsageError(f"--label-pattern: is for fasta, not for {form}")


def _is_column_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and not text.startswith("0")


def switch(help: str, *, default: bool) -> bool:
    """Return the field of a switch that templates can also set to true or false."""
    return flag(help, default=default, parse=parse_boolean, const=True, metavar="true|false")


def parse_delimiter(text: str) -> str:
    r"""Return the delimiter: a character, or a tab for `tab` and `\t`.

    Raises:
        ValueError: it is not one character that can separate columns.
    """
    delimiter = "\t" if text in ("tab", r"\t") else text
    if (
        len(delimiter) != 1
        or not delimiter.isascii()
        or delimiter.isalnum()
        or delimiter in '"\r\n'
    ):
        raise ValueError(f"got {text!r}, expected one ASCII character such as ';', or tab")
    return delimiter

"""The columns that the options ask for, found among those of a file."""

from __future__ import annotations

from collections.abc import Sequence

from charseq.errors import DataError
from pipeline.input_options import InputOptions

_SHOWN_COLUMNS = 20
_SHOWN_CHARACTERS = 60


class MissingColumnError(DataError):
    """A file lacks a column that the options ask for."""


def wanted_columns(options: InputOptions) -> list[tuple[str, str]]:
    """Return the flag and the name of each column that must exist."""
    wanted = [("--sequence-column", options.sequence_column)]
    if options.label_column is not None:
        wanted.append(("--label-column", options.label_column))
    return wanted


def find_columns(columns: Sequence[str], options: InputOptions) -> tuple[int, int | None]:
    """Return the positions of the sequence column and of the label column, if one is wanted.

    Raises:
        MissingColumnError: one of them is missing.
        DataError: its name is that of several columns.
    """
    names = list(columns)
    for flag, name in wanted_columns(options):
        if names.count(name) > 1:
            raise DataError(
                f"more than one column {name!r}; its columns are {_first_names(names)}; rename one"
            )
        if name not in names:
            raise MissingColumnError(
                f"no column {name!r}; its columns are {_first_names(names)}; say which with {flag}"
            )
    label = None if options.label_column is None else names.index(options.label_column)
    return names.index(options.sequence_column), label


def _first_names(columns: Sequence[str]) -> str:
    names = [show(name) for name in columns[:_SHOWN_COLUMNS]]
    if more := len(columns) - len(names):
        names.append(f"and {more:,} more")
    return ", ".join(names) or "(none)"


def show(text: str) -> str:
    """Return a text in quotes, shortened if it is long."""
    cut = text[:_SHOWN_CHARACTERS]
    return repr(cut if cut == text else f"{cut}…")

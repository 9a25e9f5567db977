"""The columns that the options ask for, found among those of a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from charseq.errors import DataError
from pipeline.input_options import InputOptions

_SHOWN_COLUMNS = 20
_SHOWN_CHARACTERS = 60


class FoundColumns(NamedTuple):
    """The positions of the wanted columns; label: None where no labels are wanted."""

    sequence: int
    label: int | None
    others: tuple[int, ...]


class MissingColumnError(DataError):
    """A file lacks a column that the options ask for."""


def find_columns(
    columns: Sequence[str], options: InputOptions, *, by_number: bool = False
) -> FoundColumns:
    """Return the positions of the columns that are wanted.

    by_number: whether a column may be named by its number, counted from 1, where no column has that
    name.

    Raises:
        MissingColumnError: one of them is missing.
        DataError: its name is that of several columns.
    """
    sequence, *others = (
        _find_column(list(columns), flag, name, by_number=by_number)
        for flag, name in options.wanted_columns
    )
    label = None if options.label_column is None else others.pop(0)
    return FoundColumns(sequence, label, tuple(others))


def _find_column(names: list[str], flag: str, name: str, *, by_number: bool) -> int:
    places = [place for place, other in enumerate(names) if other == name]
    if len(places) > 1:
        numbers = " and ".join(str(place + 1) for place in places)
        which = f"say which, as {flag} {places[0] + 1}, or " if by_number else ""
        raise DataError(f"columns {numbers} are all named {name!r}; {which}rename one")
    if places:
        return places[0]
    if by_number and name.isascii() and name.isdecimal() and 1 <= int(name) <= len(names):
        return int(name) - 1
    raise MissingColumnError(
        f"no column {name!r}; its columns are {_first_names(names)}; say which with {flag}"
    )


def _first_names(columns: Sequence[str]) -> str:
    names = [show(name) for name in columns[:_SHOWN_COLUMNS]]
    if more := len(columns) - len(names):
        names.append(f"and {more:,} more")
    return ", ".join(names) or "(none)"


def show(text: str) -> str:
    """Return a text in quotes, shortened if it is long."""
    cut = text[:_SHOWN_CHARACTERS]
    return repr(cut if cut == text else f"{cut}…")

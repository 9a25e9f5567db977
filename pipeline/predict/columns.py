"""Which columns the predictions have."""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace

OUTPUT_FORMATS = ("jsonl", "csv", "parquet")
_SOURCE, _ROW, _LABEL, _PROBABILITY, _SEQUENCE = "source", "row", "label", "probability", "sequence"
# Before the name of a column of the input that a column of the predictions has, too.
_PREFIX = "input_"
SET, REASON, STRANGENESS = "set", "reason", "strangeness"


@dataclass(frozen=True)
class OutputColumns:
    """The columns of the output, and its format.

    id_column: of the input, or None. keep: other columns of the input. with_sequence: whether there
    is the sequence. top: the number of labels. format: one of OUTPUT_FORMATS. with_set: whether
    there is a set of labels. min_confidence: the probability below which a row is left without a
    label, and the reason is given; None: no row is. with_strangeness: whether there is strangeness.
    """

    id_column: str | None = None
    keep: tuple[str, ...] = ()
    with_sequence: bool = False
    top: int = 1
    format: str = "jsonl"
    with_set: bool = False
    min_confidence: float | None = None
    with_strangeness: bool = False

    def of_model(self, num_labels: int) -> OutputColumns:
        """Return the columns for a model, which may have fewer labels than are wanted."""
        return replace(self, top=min(self.top, num_labels))

    @property
    def wanted(self) -> tuple[tuple[str, str], ...]:
        """The flag and the name of each column of the input, in the order of reading."""
        identifier = () if self.id_column is None else (("--id-column", self.id_column),)
        return (*identifier, *(("--keep", name) for name in self.keep))

    def labels(self) -> list[tuple[str, str]]:
        """Return the names of each label and its probability, the most probable first."""
        ranks = ["", *(f"_{rank}" for rank in range(2, self.top + 1))]
        return [(f"{_LABEL}{rank}", f"{_PROBABILITY}{rank}") for rank in ranks]

    def names(self) -> list[str]:
        """Return the names of all columns, in order."""
        labels = [name for pair in self.labels() for name in pair]
        labels += [SET] if self.with_set else []
        labels += [STRANGENESS] if self.with_strangeness else []
        labels += [REASON] if self.min_confidence is not None else []
        sequence = [_SEQUENCE] if self.with_sequence else []
        own = {_SOURCE, _ROW, *labels, *sequence}
        carried = [_PREFIX + name if name in own else name for _, name in self.wanted]
        num_ids = int(self.id_column is not None)
        return [_SOURCE, _ROW, *carried[:num_ids], *labels, *sequence, *carried[num_ids:]]


def parse_names(text: str) -> tuple[str, ...]:
    """Return names that are separated by commas; one with a comma stands in double quotes.

    Raises:
        ValueError: a name is empty.
    """
    try:
        names = next(csv.reader([text], skipinitialspace=True), [])
    except csv.Error as error:
        raise ValueError(f"got {text[:60]!r}: {error}") from None
    if not all(name.strip() for name in names) or not names:
        raise ValueError(f"got {text!r}, expected names with commas between")
    return tuple(names)

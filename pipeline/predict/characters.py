"""How much of the text to predict the model does not know: characters outside its alphabet."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from charseq.errors import MismatchError

_MAX_EXAMPLES = 3
_EXAMPLE_CHARACTERS = 40


class CharacterCounts(NamedTuple):
    """Counts over rows as the model encodes them, cut at its `max_length`.

    unknown: characters outside the alphabet. unknown_rows: rows that have no other; examples: the
    first of them in alphabetical order.
    """

    rows: int = 0
    characters: int = 0
    unknown: int = 0
    unknown_rows: int = 0
    examples: tuple[str, ...] = ()


def count_characters(
    sequence: pa.StringArray,
    ids: npt.NDArray[np.int64],
    length: npt.NDArray[np.int64],
    unknown_id: int,
) -> CharacterCounts:
    """Return the counts of n rows.

    Args:
        sequence: (n,) string.
        ids: (n, max_length) int64, what the model makes of them.
        length: (n,) int64, their characters among the ids.
        unknown_id: the id of a character outside the alphabet.
    """
    unknown = np.sum(ids == unknown_id, axis=1)
    is_unknown = (unknown == length) & (length > 0)
    examples = pc.utf8_slice_codeunits(
        sequence.filter(pa.array(is_unknown)), 0, _EXAMPLE_CHARACTERS
    )
    return CharacterCounts(
        len(length),
        int(length.sum()),
        int(unknown.sum()),
        int(is_unknown.sum()),
        tuple(sorted(examples.to_pylist())[:_MAX_EXAMPLES]),
    )


def add_characters(counts: Iterable[CharacterCounts]) -> CharacterCounts:
    """Return the sum of the counts."""
    summands = list(counts)
    examples = {example for summand in summands for example in summand.examples}
    return CharacterCounts(
        sum(summand.rows for summand in summands),
        sum(summand.characters for summand in summands),
        sum(summand.unknown for summand in summands),
        sum(summand.unknown_rows for summand in summands),
        tuple(sorted(examples)[:_MAX_EXAMPLES]),
    )


def check_characters(counts: CharacterCounts, model: str, alphabet: str) -> None:
    """Refuse an input that is written in other characters than the model was trained on.

    Raises:
        MismatchError: more than half of the rows have no character of the alphabet.
    """
    if 2 * counts.unknown_rows > counts.rows:
        raise MismatchError(
            f"{counts.unknown_rows:,} of {counts.rows:,} rows have only characters that the model "
            f"{model} does not know, such as {', '.join(map(repr, counts.examples))}; its alphabet "
            f"is {alphabet[:_EXAMPLE_CHARACTERS]!r}"
            f"{'…' if len(alphabet) > _EXAMPLE_CHARACTERS else ''}; nothing was written"
        )

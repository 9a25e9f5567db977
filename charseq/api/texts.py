"""The sequences that a user passes to a model."""

from __future__ import annotations

from collections.abc import Iterable

from charseq.errors import UsageError


def check_sequences(sequences: Iterable[object]) -> list[str]:
    """Return sequences as a list of text.

    Args:
        sequences: a list, a tuple, an array, a column of a DataFrame, …

    Raises:
        UsageError: they are one text and not several, or nothing of the kind, or one of them is not
            text, or not Unicode.
    """
    if isinstance(sequences, (str, bytes)) or not isinstance(sequences, Iterable):
        raise UsageError(f"sequences: got {sequences!r}, expected a list of texts")
    checked: list[str] = []
    for number, sequence in enumerate(sequences):
        if not isinstance(sequence, str):
            raise UsageError(f"sequences[{number}]: got {sequence!r}, expected text")
        try:
            sequence.encode("utf-8")
        except UnicodeEncodeError:
            raise UsageError(
                f"sequences[{number}]: got {sequence!r}, expected text without surrogates"
            ) from None
        checked.append(str(sequence))
    return checked

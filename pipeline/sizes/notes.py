"""Notes for users on the sizes of a record: what they cost, and what `auto` takes or would take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from charseq.html.formats import format_share
from pipeline.options import AUTO, MAX_AUTO_CHARACTERS, MAX_AUTO_LENGTH, Options
from pipeline.rows.lengths import choose_max_length
from pipeline.sizes.characters import CharacterCounts, choose_alphabet_size


def note_length(lengths: Mapping[int, int], options: Options) -> Iterator[str]:
    """Yield a note if a row is longer than a record, or if the length was chosen.

    Args:
        lengths: the number of rows by length, see `count_lengths`.
        options: the options of the preparation.
    """
    beyond = sum(rows for length, rows in lengths.items() if length > options.num_positions)
    share = format_share(beyond, sum(lengths.values()))
    outcome = "rejected as too_long" if options.too_long == "reject" else "cut"
    chosen = _with_limit(choose_max_length(lengths), MAX_AUTO_LENGTH)
    if options.max_length == AUTO:
        yield f"--max-length auto took {chosen}: {share} of the rows are longer and {outcome}"
    elif beyond:
        yield (
            f"{share} of the rows are longer than {options.num_positions:,} characters and "
            f"{outcome}; --max-length auto would take {chosen}"
        )


def note_alphabet(
    characters: CharacterCounts, alphabet: Sequence[str], options: Options
) -> Iterator[str]:
    """Yield a note if a character is outside the alphabet, or if its size was chosen.

    Args:
        characters: of the train rows.
        alphabet: of the dataset.
        options: the options of the preparation.
    """
    unknown = characters.total - characters.total_of(alphabet)
    share, what = format_share(unknown, characters.total), "the characters of the train rows"
    most = MAX_AUTO_CHARACTERS[options.encoding]
    chosen = _with_limit(choose_alphabet_size(characters, most), most)
    if options.alphabet_size == AUTO:
        yield f"--alphabet-size auto took {chosen}: {share} of {what} are unknown"
    elif unknown:
        yield (
            f"{share} of {what} are outside the alphabet of {len(alphabet):,} and become unknown; "
            f"--alphabet-size auto would take {chosen}"
        )


def _with_limit(number: int, limit: int) -> str:
    return f"{number:,}{', its limit' if number == limit else ''}"

"""The notes on the sizes of a record."""

from __future__ import annotations

import pyarrow as pa
import pytest

from pipeline.options import Options
from pipeline.sizes.characters import count_characters
from pipeline.sizes.notes import note_alphabet, note_length

pytestmark = pytest.mark.unit

LENGTHS = {3: 90, 40: 9, 70: 1}


def options(**values: object) -> Options:
    return Options(input=("i",), output="o", **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "notes"),
    [
        (
            {},
            [
                "10.0 % of the rows are longer than 31 characters and cut; --max-length auto would "
                "take 40"
            ],
        ),
        (
            {"too_long": "reject", "max_length": 40},
            [
                "1.0 % of the rows are longer than 40 characters and rejected as too_long; "
                "--max-length auto would take 40"
            ],
        ),
        ({"max_length": 70}, []),
        (
            {"max_length": "auto", "chosen_length": 40},
            ["--max-length auto took 40: 1.0 % of the rows are longer and cut"],
        ),
    ],
)
def test_rows_that_are_longer(values: dict[str, object], notes: list[str]) -> None:
    assert list(note_length(LENGTHS, options(**values))) == notes


def test_a_length_at_its_limit() -> None:
    auto = options(max_length="auto", chosen_length=1024, too_long="reject")
    assert list(note_length({1: 1, 2048: 1}, auto)) == [
        "--max-length auto took 1,024, its limit: 50.0 % of the rows are longer and rejected as "
        "too_long"
    ]


CHARACTERS = count_characters(pa.array(["aaa", "ab", "c"], pa.large_binary()))


@pytest.mark.parametrize(
    ("alphabet", "values", "notes"),
    [
        (
            "a",
            {"alphabet_size": 1},
            [
                "33.3 % of the characters of the train rows are outside the alphabet of 1 and "
                "become unknown; --alphabet-size auto would take 3"
            ],
        ),
        (
            "bc?",
            {"alphabet": "bc?"},
            [
                "66.7 % of the characters of the train rows are outside the alphabet of 3 and "
                "become unknown; --alphabet-size auto would take 3"
            ],
        ),
        ("acb", {}, []),
        (
            "acb",
            {"alphabet_size": "auto"},
            ["--alphabet-size auto took 3: 0 % of the characters of the train rows are unknown"],
        ),
    ],
)
def test_characters_that_are_unknown(
    alphabet: str, values: dict[str, object], notes: list[str]
) -> None:
    assert list(note_alphabet(CHARACTERS, alphabet, options(**values))) == notes


def test_an_alphabet_at_its_limit() -> None:
    every = [chr(code_point) for code_point in range(0x4E00, 0x4E00 + 300)]
    counts = count_characters(pa.array(every, pa.large_binary()))
    assert list(note_alphabet(counts, every[:25], options(encoding="one_hot"))) == [
        "91.7 % of the characters of the train rows are outside the alphabet of 25 and become "
        "unknown; --alphabet-size auto would take 256, its limit"
    ]

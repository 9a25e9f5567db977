"""Blocks of lines to columns."""

from __future__ import annotations

import csv
import io
import re

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.parsing import ParsedRows, parse_jsonl, parse_table, parse_values


def rows(parsed: ParsedRows) -> list[tuple[int, bytes | None, bytes | None]]:
    return list(
        zip(
            parsed.row.tolist(),
            parsed.sequence.to_pylist(),
            parsed.label.to_pylist(),
            strict=True,
        )
    )


def bad(parsed: ParsedRows) -> list[tuple[int, str, str]]:
    return sorted((row.row, row.reason, row.raw) for row in parsed.bad)


def test_columns_are_taken_by_their_place() -> None:
    parsed = parse_table(b"1,AC,x\n2,D,y\n", columns=3, sequence=1, label=2)
    assert rows(parsed) == [(0, b"AC", b"x"), (1, b"D", b"y")]
    assert parsed.bad == ()
    assert parsed.rows == 2


def test_quotes_line_ends_and_blank_lines() -> None:
    block = b'"A,C",x\r\n\r\n"D""E",y\n\n"",\nF,z'
    parsed = parse_table(block, columns=2, sequence=0, label=1)
    assert rows(parsed) == [(0, b"A,C", b"x"), (2, b'D"E', b"y"), (4, b"", b""), (5, b"F", b"z")]
    assert parsed.rows == 6
    assert parsed.raw(1) == '"D""E",y'


def test_bad_rows_are_set_apart_with_their_number_and_text() -> None:
    block = b'A,x\n"B,x\nC"C",x\nD,x,1\nE\n\nF\rF,x\n"G"g,x\nH,y\n'
    parsed = parse_table(block, columns=2, sequence=0, label=1)
    assert rows(parsed) == [(0, b"A", b"x"), (8, b"H", b"y")]
    assert bad(parsed) == [
        (1, "broken_quoting", '"B,x'),
        (2, "broken_quoting", 'C"C",x'),
        (3, "wrong_number_of_fields", "D,x,1"),
        (4, "wrong_number_of_fields", "E"),
        (6, "line_break", "F\rF,x"),
        (7, "broken_quoting", '"G"g,x'),
    ]


def test_tsv_has_no_quoting() -> None:
    parsed = parse_table(b'"A\tx\nB"\t"y"\n', columns=2, sequence=0, label=1, form="tsv")
    assert rows(parsed) == [(0, b'"A', b"x"), (1, b'B"', b'"y"')]


def test_a_block_without_a_single_good_row() -> None:
    parsed = parse_table(b'\n"\n', columns=2, sequence=0, label=1)
    assert rows(parsed) == []
    assert bad(parsed) == [(1, "broken_quoting", '"')]


# The csv module of Python 3.10 cannot write NUL.
FIELD = st.text(st.characters(codec="utf-8", exclude_characters="\n\r\0"), max_size=6)


@given(st.lists(st.tuples(FIELD, FIELD, FIELD), min_size=1, max_size=20), st.booleans())
def test_what_the_csv_module_writes_is_read_back(
    fields: list[tuple[str, str, str]], quote_all: bool
) -> None:
    text = io.StringIO()
    quoting = csv.QUOTE_ALL if quote_all else csv.QUOTE_MINIMAL
    csv.writer(text, quoting=quoting).writerows(fields)
    parsed = parse_table(text.getvalue().encode(), columns=3, sequence=2, label=0)
    assert parsed.bad == ()
    assert rows(parsed) == [(n, row[2].encode(), row[0].encode()) for n, row in enumerate(fields)]


RFC_4180_FIELD = r'(?:[^",]*|"(?:[^"]|"")*")'
RFC_4180_LINE = re.compile(f"{RFC_4180_FIELD}(?:,{RFC_4180_FIELD})*")


@given(st.lists(st.text('a,"', min_size=1, max_size=8), min_size=1, max_size=20))
def test_every_line_comes_out_once_and_strictly_well_formed(lines: list[str]) -> None:
    parsed = parse_table("\n".join(lines).encode(), columns=2, sequence=0, label=1)
    found = {n: [sequence, label] for n, sequence, label in rows(parsed)}
    assert sorted([*found, *(row.row for row in parsed.bad)]) == list(range(len(lines)))
    for number, line in enumerate(lines):
        fields = next(csv.reader([line]))
        if RFC_4180_LINE.fullmatch(line) and len(fields) == 2:
            assert found[number] == [field.encode() for field in fields]
        else:
            assert number not in found


def test_jsonl_by_block_and_line_by_line_agree() -> None:
    good = b'{"s": "AC", "l": "x", "more": [1]}\n\n{"l": "y", "s": "\\u00e9"}\n'
    fast = parse_jsonl(good, "s", "l")
    slow = parse_jsonl(good + b"oops\n", "s", "l")
    assert rows(fast) == rows(slow) == [(0, b"AC", b"x"), (2, "é".encode(), b"y")]
    assert bad(slow) == [(3, "invalid_json", "oops")]


def test_jsonl_bad_rows() -> None:
    block = (
        b'{"s": "A", "l": 3}\n{"s": 1, "l": "x"}\n{"s": "A"}\n[]\n{"s": "\xff", "l": "x"}\n'
        b'{"s": "\\ud800", "l": "x"}\n{"s": null, "l": "x"}\n{"l": "x"}\n{"s": "A", "l": true}\n'
    )
    parsed = parse_jsonl(block, "s", "l")
    assert rows(parsed) == [(0, b"A", b"3"), (6, None, b"x")]
    assert [(row, reason) for row, reason, _ in bad(parsed)] == [
        (1, "invalid_json"),
        (2, "missing_label"),
        (3, "invalid_json"),
        (4, "invalid_utf8"),
        (5, "invalid_utf8"),
        (7, "empty_sequence"),
        (8, "invalid_json"),
    ]


@pytest.mark.parametrize(
    "label",
    [
        pa.array([3, 14]),
        pa.array(["3", "14"]),
        pa.array(["3", "14"]).dictionary_encode(),
        pa.array([b"3", b"14"], pa.large_binary()),
    ],
)
def test_columns_of_parquet(label: pa.Array) -> None:
    parsed = parse_values(pa.array(["AC", None]), label)
    assert rows(parsed) == [(0, b"AC", b"3"), (1, None, b"14")]
    assert parsed.raw(1) == '[null, "14"]'

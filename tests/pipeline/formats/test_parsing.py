"""Blocks of lines to columns."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from datetime import datetime, timezone
from uuid import UUID

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charseq.text.normalization import Normalization
from pipeline.formats import tables
from pipeline.formats.jsonl import parse_jsonl
from pipeline.formats.parquet import parse_columns
from pipeline.formats.parsed_rows import KEPT_BYTES, ParsedRows, excerpt
from pipeline.formats.tables import parse_table
from pipeline.formats.text import parse_text
from pipeline.options import RowRules
from pipeline.rows.validation import validate_rows

pytestmark = pytest.mark.unit

NORMALIZATION = Normalization(nfc=True, lowercase=False, strip=True)


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
    writer = csv.writer(text, quoting=csv.QUOTE_ALL if quote_all else csv.QUOTE_MINIMAL)
    writer.writerows(fields)
    parsed = parse_table(text.getvalue().encode(), columns=3, sequence=2, label=0)
    assert parsed.bad == ()
    assert rows(parsed) == [(n, row[2].encode(), row[0].encode()) for n, row in enumerate(fields)]


RFC_4180_FIELD = r'(?:[^",]*|"(?:[^"]|"")*")'
RFC_4180_LINE = re.compile(f"{RFC_4180_FIELD}(?:,{RFC_4180_FIELD})*")


@given(st.lists(st.text('a,"', min_size=1, max_size=8), min_size=1, max_size=20))
def test_every_line_comes_out_once_and_strictly_well_formed(lines: list[str]) -> None:
    parsed = parse_table("\n".join(lines).encode(), columns=2, sequence=0, label=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "_QUOTES_AT_ONCE", 2)
        again = parse_table("\n".join(lines).encode(), columns=2, sequence=0, label=1)
    assert (rows(again), bad(again)) == (rows(parsed), bad(parsed))
    found = {n: [sequence, label] for n, sequence, label in rows(parsed)}
    assert sorted([*found, *(row.row for row in parsed.bad)]) == list(range(len(lines)))
    for number, line in enumerate(lines):
        fields = next(csv.reader([line]))
        if RFC_4180_LINE.fullmatch(line) and len(fields) == 2:
            assert found[number] == [field.encode() for field in fields]
        else:
            assert number not in found


@pytest.mark.parametrize("form", ["csv", "tsv"])
def test_a_row_that_is_wrong_twice_costs_only_itself(
    form: str, capfd: pytest.CaptureFixture[str]
) -> None:
    delimiter = b"," if form == "csv" else b"\t"
    lines = [b"A,x", b"\xff,x,1", b"\xc3\xa9,y", b"B", b"C\xff,z", b"\xfe", b"D,x"]
    block = b"\n\n".join(lines).replace(b",", delimiter)
    parsed = parse_table(block, columns=2, sequence=0, label=1, form=form)
    assert rows(parsed) == [
        (0, b"A", b"x"),
        (4, "é".encode(), b"y"),
        (8, b"C\xff", b"z"),  # the validation rejects it
        (12, b"D", b"x"),
    ]
    assert bad(parsed) == [
        (2, "wrong_number_of_fields", f"\\xff{delimiter.decode()}x{delimiter.decode()}1"),
        (6, "wrong_number_of_fields", "B"),
        (10, "wrong_number_of_fields", "\\xfe"),
    ]
    assert capfd.readouterr().err == ""


def test_the_header_again_is_no_row() -> None:
    block = b"A,x,1\nsequence,label,n\nsequence,x,1\nC,label,2\nD,y,3\n"
    parsed = parse_table(block, 3, 0, 1, header=("sequence", "label"))
    assert rows(parsed) == [
        (0, b"A", b"x"),
        (2, b"sequence", b"x"),
        (3, b"C", b"label"),
        (4, b"D", b"y"),
    ]
    assert bad(parsed) == [(1, "repeated_header", "sequence,label,n")]
    assert [parsed.raw(index) for index in (1, 3)] == ["sequence,x,1", "D,y,3"]
    assert len(parse_table(block, 3, 0, 1).row) == 5


PIECES = [b"A", b'"', b",", b"\t", b"\r", b"\xff", b"\xc3\xa9", b"\0", b'{"s": "A', b'"}', b"1.5"]


@given(st.lists(st.lists(st.sampled_from(PIECES), max_size=6).map(b"".join), min_size=1))
def test_whatever_a_line_holds_it_comes_out_once(lines: list[bytes]) -> None:
    block = b"\n".join(lines) + b"\n"
    numbers = [n for n, line in enumerate(lines) if line.removesuffix(b"\r")]
    for parsed in (
        parse_table(block, 2, 0, 1),
        parse_table(block, 2, 0, 1, form="tsv"),
        parse_jsonl(block, "s", "l"),
        parse_text(block, "x"),
    ):
        checked = validate_rows(parsed, RowRules(3, "truncate", "label", NORMALIZATION))
        assert sorted([*checked.row.tolist(), *(row.row for row in checked.bad)]) == numbers


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
    assert rows(parsed) == [
        (0, b"A", b"3"),
        (2, b"A", None),
        (4, b"\xff", b"x"),
        (6, None, b"x"),
        (7, None, b"x"),
        (8, b"A", b"true"),
    ]
    assert [(row, reason) for row, reason, _ in bad(parsed)] == [
        (1, "invalid_json"),
        (3, "invalid_json"),
        (5, "invalid_utf8"),
    ]


@pytest.mark.parametrize(
    "label",
    [
        pa.array([3, 14]),
        pa.array(["3", "14"]),
        pa.array(["3", "14"]).dictionary_encode(),
        pa.array([b"3", b"14"], pa.large_binary()),
        pa.array([b"3", b"14"], pa.binary_view()),
        pa.array(["3", "14"], pa.large_string()).dictionary_encode(),
        pa.array([3, 14], pa.uint64()).dictionary_encode(),
        pa.array([3.0, 14.0]),
        pa.array([3.0, 14.0], pa.float32()).dictionary_encode(),
    ],
)
def test_columns_of_parquet(label: pa.Array) -> None:
    parsed = parse_columns(pa.array(["AC", None]), label)
    assert rows(parsed) == [(0, b"AC", b"3"), (1, None, b"14")]
    assert parsed.raw(1) == '[null, "14"]'


def test_numbers_and_booleans_of_parquet_are_labels_by_their_json_text() -> None:
    values = [1.0, 1.5, None, float("nan"), -0.0, float("inf"), 1e22, 2.0**53]
    parsed = parse_columns(pa.array(list("ABCDEFGH")), pa.array(values))
    assert rows(parsed) == [
        (0, b"A", b"1"),
        (2, b"C", None),
        (3, b"D", None),
        (4, b"E", b"0"),
        (6, b"G", b"10000000000000000000000"),
        (7, b"H", b"9007199254740992"),
    ]
    assert bad(parsed) == [
        (1, "label_not_text", '["B", "1.5"]'),
        (5, "label_not_text", '["F", "inf"]'),
    ]
    assert parsed.raw(4) == '["G", "10000000000000000000000"]'
    parsed = parse_columns(pa.array(["A", "B", "C"]), pa.array([True, None, False]))
    assert parsed.label.to_pylist() == [b"true", None, b"false"]


# Each stands alone, and between good lines: a line's outcome never depends on its neighbours.
JSON_LINES = [
    (b'{"s": "A", "l": "x"}', (b"A", b"x")),
    (b'{"s": "A", "l": "x"} ', (b"A", b"x")),
    (b'{"s": "A", "s": "B", "l": "x"}', (b"B", b"x")),
    (b'{"s": "A", "l": "x", "o": 1, "o": {"s": 2}}', (b"A", b"x")),
    (b'{"s": "\\ud83d\\ude00\\u0000", "l": "x"}', ("😀\0".encode(), b"x")),
    (b'{"s": "A", "l": "x", "o": "\\ud800"}', (b"A", b"x")),
    (b'{"s": "A", "l": "x", "o": "\xff"}', (b"A", b"x")),
    (b'{"s": "A", "l": "x", "o": 1e400}', (b"A", b"x")),
    (b'{"s": "A", "l": "x", "o": ' + b"[" * 50_000 + b"]" * 50_000 + b"}", (b"A", b"x")),
    (b'{"s": "A", "l": -7}', (b"A", b"-7")),
    (b'{"s": "A", "l": ' + b"9" * 99 + b"}", (b"A", b"9" * 99)),
    (b"{}", (None, None)),
    (b'{"s": ""}', (b"", None)),
    (b'{"s": "A", "l": 1.0}', (b"A", b"1")),
    (b'{"s": "A", "l": -0.0}', (b"A", b"0")),
    (b'{"s": "A", "l": 1e2}', (b"A", b"100")),
    (b'{"s": "A", "l": 9007199254740993}', (b"A", b"9007199254740993")),
    (b'{"s": "A", "l": 1e22}', (b"A", b"10000000000000000000000")),
    (b'{"s": "A", "l": true}', (b"A", b"true")),
    (b'{"s": "A", "l": false}', (b"A", b"false")),
    (b'{"s": "A", "l": 1.5}', "label_not_text"),
    (b'{"s": "A", "l": 1e400}', "label_not_text"),
    (b'{"s": "A", "l": ' + b"9" * 5000 + b"}", "invalid_json"),
    (b'{"s": "A", "l": NaN}', "invalid_json"),
    (b'{"s": "A", "l": -Infinity}', "invalid_json"),
    (b'{"s": "A", "l": {"a": 1}}', "label_not_text"),
    (b'{"s": "A", "l": [1]}', "label_not_text"),
    (b'{"s": 1, "l": "x"}', "invalid_json"),
    (b'{"s": true, "l": 1.5}', "invalid_json"),
    (b'{"s": "\\ud800", "l": "x"}', "invalid_utf8"),
    (b'{"s": "A\0", "l": "x"}', "invalid_json"),
    (b'\xef\xbb\xbf{"s": "A", "l": "x"}', "invalid_json"),
    (b'{"s": "A", "l": "x"}{"s": "B", "l": "y"}', "invalid_json"),
    (b'{"s": "A", "l": "x"}null', "invalid_json"),
    (b'{"s": "A",', "invalid_json"),
    (b'"l": "x"}{"s": "B", "l": "y"}', "invalid_json"),
    (b"[" * 50_000, "invalid_json"),
    (b"null", "invalid_json"),
    (b"1", "invalid_json"),
]


@pytest.mark.parametrize(("line", "expected"), JSON_LINES)
def test_what_becomes_of_a_json_line(line: bytes, expected: object) -> None:
    good = b'{"s": "C", "l": "y"}\n'
    number, truth = (good.replace(b'"y"', value) for value in (b"-1.0", b"true"))
    around = ((b"", b""), (good, good), (b"oops\n", good), (number, number), (truth, truth))
    for before, after in around:
        parsed = parse_jsonl(before + line + b"\n" + after, "s", "l")
        place = before.count(b"\n")
        found: dict[int, object] = {n: (sequence, label) for n, sequence, label in rows(parsed)}
        found |= {row.row: row.reason for row in parsed.bad}
        assert found[place] == expected


def test_json_lines_that_are_well_formed_only_together() -> None:
    parsed = parse_jsonl(b'{"s": "A",\n"l": "x"}{"s": "B", "l": "y"}\n', "s", "l")
    assert rows(parsed) == []
    assert [(row, reason) for row, reason, _ in bad(parsed)] == [
        (0, "invalid_json"),
        (1, "invalid_json"),
    ]


def test_text_is_a_sequence_a_line() -> None:
    block = b'AC\r\n\n"D,\t" \r\n\r\n \nF\rF\n\r\r\nG'
    parsed = parse_text(block, "alpha")
    assert rows(parsed) == [
        (0, b"AC", b"alpha"),
        (2, b'"D,\t" ', b"alpha"),
        (4, b" ", b"alpha"),
        (7, b"G", b"alpha"),
    ]
    assert bad(parsed) == [(5, "line_break", "F\rF"), (6, "line_break", "\r")]
    assert parsed.rows == 8
    assert parsed.raw(3) == "G"


@given(st.lists(st.text("aé\r", max_size=4)), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_every_text_line_comes_out_once(lines: list[str], end: str, last: bool) -> None:
    block = (end.join(lines) + end * last).encode()
    if not block:
        return
    parsed = parse_text(block, "x")
    found = {n: sequence for n, sequence, _ in rows(parsed)} | {n: None for n, *_ in bad(parsed)}
    expected = {}
    for number, line in enumerate(block.split(b"\n")):
        text = line.removesuffix(b"\r")
        if text:
            expected[number] = None if b"\r" in text else text
    assert found == expected


UNUSUAL = "\0\x0b\x0c\x1c\x85\u2028\u2029\u200f\u05d0\U0001f600"


@pytest.mark.parametrize("form", ["csv", "tsv", "text", "jsonl"])
def test_only_a_newline_ends_a_line(form: str) -> None:
    sequence, label = f"A{UNUSUAL}", f"x{UNUSUAL}"
    if form == "text":
        parsed = parse_text(f"{sequence}\nB\n".encode(), label)
    elif form == "jsonl":
        lines = [{"s": sequence, "l": label}, {"s": "B", "l": label}]
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        for control in "\0\x0b\x0c\x1c":
            text = text.replace(control, f"\\u{ord(control):04x}")
        parsed = parse_jsonl(text.encode(), "s", "l")
    else:
        delimiter = "," if form == "csv" else "\t"
        text = "".join(f"{value}{delimiter}{label}\n" for value in (sequence, "B"))
        parsed = parse_table(text.encode(), 2, 0, 1, form)
    assert rows(parsed) == [
        (0, sequence.encode(), label.encode()),
        (1, b"B", label.encode()),
    ]
    assert parsed.bad == ()


@given(st.lists(st.sampled_from([b"\xff", rb"\xff", b"\\", b"a", "é".encode()]), max_size=6))
def test_the_text_of_a_row_tells_bytes_from_characters(pieces: list[bytes]) -> None:
    data = b"".join([*pieces, b"\xfe"])  # In any case not UTF-8.
    text = excerpt(data, 0, len(data))
    # Read from left to right, it is the bytes again.
    escape = re.compile(rb"\\(?:x(..)|(\\))")
    read = escape.sub(lambda found: found[2] or bytes.fromhex(found[1].decode()), text.encode())
    assert read == data
    assert excerpt(rb"a\xff", 0, 5) == r"a\xff"


def test_of_a_huge_row_a_part_is_kept_whose_characters_are_whole() -> None:
    assert excerpt(b"abc", 1, 3) == "bc"
    assert excerpt(b"a\xff", 0, 2) == r"a\xff"
    text = "é" * (KEPT_BYTES // 2)
    assert excerpt(text.encode(), 0, KEPT_BYTES) == text
    assert excerpt(b"a" + text.encode() + b"bc", 0, KEPT_BYTES + 3) == (
        "a" + text[:-1] + "… (cut: 65,539 bytes in all)"
    )
    parsed = parse_table(b'"' + b"A" * 10 * KEPT_BYTES + b",x\nC,y\n", 2, 0, 1)
    assert rows(parsed) == [(1, b"C", b"y")]
    assert bad(parsed) == [
        (0, "broken_quoting", '"' + "A" * (KEPT_BYTES - 1) + "… (cut: 655,363 bytes in all)")
    ]


OTHERS_OF_EACH_FORMAT = [
    lambda: parse_table(b'AC,x,"u v",1.50\nD,y,,7\n', 4, 0, 1, others=(3, 2)),
    lambda: parse_table(b"AC\tx\tu v\t1.50\nD\ty\t\t7\n", 4, 0, 1, form="tsv", others=(3, 2)),
]


@pytest.mark.parametrize("parse", OTHERS_OF_EACH_FORMAT)
def test_other_columns_of_tables_are_their_text(parse: Callable[[], ParsedRows]) -> None:
    parsed = parse()
    assert [column.to_pylist() for column in parsed.others] == [[b"1.50", b"7"], [b"u v", b""]]
    assert rows(parsed) == [(0, b"AC", b"x"), (1, b"D", b"y")]


def test_other_columns_of_json_lines_are_text_or_json() -> None:
    lines = [
        '{"s": "A", "l": 1, "w": 0.5, "id": 7, "ok": true}',
        '{"s": "B", "l": 2, "w": 2, "id": 8, "ok": null}',
        '{"s": "C", "l": 3, "id": 9, "ok": false}',
    ]
    expected: list[list[bytes | None]] = [
        [b"0.5", b"2", None],
        [b"7", b"8", b"9"],
        [b"true", None, b"false"],
    ]
    fast = parse_jsonl("\n".join(lines).encode(), "s", "l", ("w", "id", "ok"))
    assert [column.to_pylist() for column in fast.others] == expected
    assert rows(fast) == [(0, b"A", b"1"), (1, b"B", b"2"), (2, b"C", b"3")]
    # A line that Arrow does not take changes nothing about the others.
    more = [*lines, '{"s": "D", "l": 4, "w": "x", "id": 9007199254740993, "ok": {"a": ["é"]}}']
    slow = parse_jsonl("\n".join(more).encode(), "s", "l", ("w", "id", "ok"))
    assert [column.to_pylist() for column in slow.others] == [
        [*expected[0], b"x"],
        [*expected[1], b"9007199254740993"],
        [*expected[2], '{"a": ["é"]}'.encode()],
    ]


def test_a_key_may_be_read_twice() -> None:
    parsed = parse_jsonl(b'{"s": "A", "l": "x"}\n', "s", "l", ("l", "s"))
    assert [column.to_pylist() for column in parsed.others] == [[b"x"], [b"A"]]
    assert rows(parsed) == [(0, b"A", b"x")]


def test_other_columns_of_parquet_are_text() -> None:
    others = [
        pa.array([0.5, 2.0, None]),
        pa.array(
            [datetime(2026, 1, 2, 3, tzinfo=timezone.utc), None, None], pa.timestamp("s", "UTC")
        ),
        pa.array(["u", "v", "u"]).dictionary_encode(),
        pa.array([True, False, None]),
        pa.array([b"\xff\x00", b"ab", None], pa.binary(2)),
        pa.array([UUID(int=7).bytes, None, None], pa.uuid()),
    ]
    parsed = parse_columns(pa.array(["A", "B", "C"]), pa.array([1.0, 2.5, 3.0]), others)
    # The row whose label is no whole number is left out of all columns.
    assert bad(parsed) == [
        (1, "label_not_text", '["B", "2.5", "2", null, "v", "false", "ab", null]')
    ]
    assert [column.to_pylist() for column in parsed.others] == [
        [b"0.5", None],
        [b"2026-01-02 03:00:00Z", None],
        [b"u", b"u"],
        [b"true", None],
        [b"\xff\x00", None],
        [str(UUID(int=7)).encode(), None],
    ]

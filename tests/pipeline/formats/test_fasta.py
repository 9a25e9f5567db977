"""FASTA: records of several lines, and the label in their header."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charseq.errors import DataError
from pipeline.formats.fasta import parse_fasta
from pipeline.formats.head import Header
from pipeline.formats.headers import read_header
from pipeline.formats.parsed_rows import ParsedRows
from pipeline.label_pattern import DEFAULT_LABEL_PATTERN, to_named_pattern
from pipeline.options import Options

pytestmark = pytest.mark.unit

DEFAULT = to_named_pattern(DEFAULT_LABEL_PATTERN)


def rows(parsed: ParsedRows) -> list[tuple[int, bytes | None, bytes | None]]:
    columns = (parsed.row.tolist(), parsed.sequence.to_pylist(), parsed.label.to_pylist())
    return list(zip(*columns, strict=True))


BLOCK = (
    b">sp|P1|alpha\r\nACD\r\nEF G\t\n\n>id  some beta \nGHI>\n>gamma\n>x \xff\nA\n"
    b">\xc3\xa9 \xc3\xa9\nCC"
)


def test_records_are_rows_numbered_by_the_line_of_their_header() -> None:
    parsed = parse_fasta(BLOCK, DEFAULT)
    assert rows(parsed) == [
        (0, b"ACDEFG", b"alpha"),
        (4, b"GHI>", b"beta"),
        (6, b"", None),
        (7, b"A", b"x \xff"),  # the validation rejects it
        (9, b"CC", "é".encode()),
    ]
    assert parsed.rows == 11
    assert [parsed.raw(index) for index in (0, 2, 3)] == [
        ">sp|P1|alpha\r\nACD\r\nEF G\t",
        ">gamma",
        ">x \\xff\nA",
    ]


def test_labels_of_the_path_and_no_labels() -> None:
    assert parse_fasta(b">a b\nA\n>c\nC\n", None, "x").label.to_pylist() == [b"x", b"x"]
    assert parse_fasta(b">a b\nA\n>c\nC\n", None).label.to_pylist() == [None, None]
    assert rows(parse_fasta(b">", DEFAULT)) == [(0, b"", None)]


@pytest.mark.parametrize(
    ("pattern", "header", "label"),
    [
        (DEFAULT_LABEL_PATTERN, "a|b|c", "c"),
        (DEFAULT_LABEL_PATTERN, "a b", "b"),
        (DEFAULT_LABEL_PATTERN, "a|b c|", None),
        (DEFAULT_LABEL_PATTERN, "a", None),
        (r"^\w+", "id|x", "id"),
        (r"OS=(.+?)(?: OX=|$)", "P1 OS=Homo sapiens OX=9606", "Homo sapiens"),
        (r"(a|b)-(c)", "x a-c", "a"),
        (r"[(](\w+)", "x (y)", "y"),
        (r"\((\w+)", "x (y)", "y"),
        (r"(?P<kind>\w+)$", "x y", "y"),
    ],
)
def test_a_label_is_the_first_group_of_the_pattern_or_all_of_it(
    pattern: str, header: str, label: str | None
) -> None:
    parsed = parse_fasta(f">{header}\nA\n".encode(), to_named_pattern(pattern))
    assert parsed.label.to_pylist() == [None if label is None else label.encode()]


@given(st.lists(st.tuples(st.text("ab |", max_size=5), st.lists(st.text("ACD >", max_size=5)))))
def test_every_record_comes_out_once(records: list[tuple[str, list[str]]]) -> None:
    lines: list[str] = []
    expected = []
    for header, sequence in records:
        kept = [line for line in sequence if not line.startswith(">")]
        expected.append((len(lines), "".join(kept).replace(" ", "").encode(), b"x"))
        lines += [f">{header}", *kept]
    if lines:
        assert rows(parse_fasta("\n".join(lines).encode(), None, "x")) == expected


@pytest.mark.parametrize(
    ("data", "header"),
    [
        (b">a\nA\n", Header()),
        (b"\xef\xbb\xbf\r\n\n>a\nA\n", Header(data_start=6, first_row=3)),
        (b"\n", Header(data_start=1, first_row=2, is_empty=True)),
    ],
)
def test_header(data: bytes, header: Header) -> None:
    options = Options(input=("i",), output="o").input_options
    assert read_header(io.BytesIO(data), "fasta", options) == header
    with pytest.raises(DataError, match="it does not begin with '>', as FASTA does"):
        read_header(io.BytesIO(b"ACD\n>a\n"), "fasta", options)

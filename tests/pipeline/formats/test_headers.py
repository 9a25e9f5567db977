"""Headers: the columns of a file and where its rows begin, from its first bytes."""

from __future__ import annotations

import io
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from charseq.errors import DataError
from pipeline.formats import headers
from pipeline.formats.head import Header
from pipeline.formats.headers import read_header
from pipeline.input_options import FORMATS, InputOptions
from pipeline.options import Options
from pipeline.predict.options import PredictOptions
from pipeline.rows import parsing, sources

pytestmark = pytest.mark.unit

OPTIONS = Options(input=("i",), output="o").input_options
NAMES = (("sequence", "label"), 0, 1)
WITHOUT_LABELS = PredictOptions(model="m", input=("i",), output="o").input_options


@pytest.mark.parametrize(
    ("form", "data", "header"),
    [
        (
            "csv",
            b'label,"sequence"\nx,A\n',
            Header(("label", "sequence"), 1, 0, 17, 2, has_header=True),
        ),
        (
            "csv",
            b"\xef\xbb\xbfsequence,label\r\n",
            Header(("sequence", "label"), 0, 1, 19, 2, has_header=True),
        ),
        ("csv", b"sequence,label", Header(("sequence", "label"), 0, 1, 14, 2, has_header=True)),
        (
            "tsv",
            b'sequence\t"a\tlabel\n',
            Header(("sequence", '"a', "label"), 0, 2, 18, 2, has_header=True),
        ),
        (
            "jsonl",
            b'\xef\xbb\xbf{"sequence": "A"}\noops\n{"label": "x", "sequence": "C"}\n',
            Header(("sequence", "label"), 0, 1, 3),
        ),
        ("text", b"\xef\xbb\xbfA\n", Header(data_start=3)),
        ("text", b"A\n", Header()),
    ],
)
def test_header(form: str, data: bytes, header: Header) -> None:
    assert read_header(io.BytesIO(data), form, OPTIONS) == header


def test_header_of_parquet() -> None:
    stream = io.BytesIO()
    table = pa.table({"sequence": ["A", "C"], "label": [1, 2]})
    pq.write_table(table, stream, row_group_size=1)
    stream.seek(0)
    expected = Header(("sequence", "label"), 0, 1, row_groups=2)
    assert read_header(stream, "parquet", OPTIONS) == expected


def test_only_wanted_columns_must_exist() -> None:
    data = b"id,sequence\n"
    assert read_header(io.BytesIO(data), "csv", WITHOUT_LABELS).label is None
    with pytest.raises(DataError, match=r"^no column 'label'; .* say which with --label-column;"):
        read_header(io.BytesIO(data), "csv", OPTIONS)


def test_every_format_has_a_suffix_a_header_and_a_parser() -> None:
    assert set(sources._FORMAT_OF_SUFFIX.values()) == set(FORMATS)
    assert {"parquet", *headers._TEXT_READERS} == set(FORMATS)
    assert set(parsing._PARSERS) == set(FORMATS)


def options(**changes: Any) -> InputOptions:
    return Options(input=("i",), output="o", **changes).input_options


def columns(sequence: str, label: str, **changes: Any) -> InputOptions:
    return options(sequence_column=sequence, label_column=label, **changes)


NUMBERS = columns("1", "2", no_header=True)


@pytest.mark.parametrize(
    ("form", "data", "wanted", "header"),
    [
        (
            "csv",
            b"sequence;label\n",
            options(delimiter=";"),
            Header(*NAMES, 15, 2, has_header=True),
        ),
        (
            "csv",
            b"sequence\tlabel\n",
            options(delimiter="\t"),
            Header(*NAMES, 15, 2, has_header=True),
        ),
        (
            "tsv",
            b"sequence|label\n",
            options(delimiter="|"),
            Header(*NAMES, 15, 2, has_header=True),
        ),
        ("csv", b"\r\n\nsequence,label\n", OPTIONS, Header(*NAMES, 18, 4, has_header=True)),
        (
            "csv",
            b",sequence,label\n0,A,x",
            OPTIONS,
            Header(("", *NAMES[0]), 1, 2, 16, 2, has_header=True),
        ),
        ("csv", b"A,x\n", NUMBERS, Header(("1", "2"), 0, 1, 0, 1)),
        (
            "tsv",
            b"\xef\xbb\xbf\nx\tA",
            columns("2", "1", no_header=True),
            Header(("1", "2"), 1, 0, 4, 2),
        ),
        (
            "csv",
            "\ufeffsequence,label\n".encode("utf-16-le"),
            OPTIONS,
            Header(*NAMES, 18, 2, 0, "utf-16-le", has_header=True),
        ),
        (
            "text",
            "\ufeffA\n".encode("utf-16-be"),
            OPTIONS,
            Header(data_start=3, encoding="utf-16-be"),
        ),
        ("csv", b"\xef\xbb\xbf\r\n\n", OPTIONS, Header(data_start=6, is_empty=True)),
        ("jsonl", b"\n", OPTIONS, Header(is_empty=True)),
        ("text", b"\n", OPTIONS, Header(is_empty=True)),
    ],
)
def test_header_of_other_tables(
    form: str, data: bytes, wanted: InputOptions, header: Header
) -> None:
    assert read_header(io.BytesIO(data), form, wanted) == header


ROWS = b"ACD,alpha\nGHI,beta\nDCA,alpha\n"


@pytest.mark.parametrize(
    ("form", "data", "wanted", "message"),
    [
        (
            "csv",
            b"sequence;label\nA;x\n",
            OPTIONS,
            (
                "if semicolons separate its columns, say --delimiter ';'; if it is one column, "
                "say --delimiter ','"
            ),
        ),
        (
            "csv",
            b"sequence;label\nA;x\n",
            columns("sequence;label", "label"),
            "say --delimiter ';'",
        ),
        ("csv", b"sequence\tlabel\n", OPTIONS, "if tabs separate its columns, say --delimiter tab"),
        (
            "tsv",
            b"sequence,label\n",
            OPTIONS,
            (
                "if commas separate its columns, say --format csv; if it is one column, say "
                "--delimiter tab"
            ),
        ),
        ("tsv", b"sequence;label\n", OPTIONS, "say --format csv --delimiter ';'"),
        ("csv", b"ACD;alpha\n", NUMBERS, "say --delimiter ';'"),
        (
            "csv",
            b"sequence;note, long;label\n",
            OPTIONS,
            (
                "no column 'sequence'; its columns are 'sequence;note', ' long;label'; say which "
                "with --sequence-column; if semicolons separate its columns, say --delimiter ';'"
            ),
        ),
        (
            "csv",
            ROWS,
            OPTIONS,
            (
                "no column 'sequence'; its columns are 'ACD', 'alpha'; say which with "
                "--sequence-column; if row 1 is no header, say --no-header --sequence-column 1 "
                "--label-column 2"
            ),
        ),
        ("csv", ROWS, WITHOUT_LABELS, "if row 1 is no header, say --no-header --sequence-column M"),
        ("csv", b"A\nC\n", WITHOUT_LABELS, "say --no-header --sequence-column 1"),
        ("csv", b"0,A,x\n", OPTIONS, "say --no-header --sequence-column M --label-column N"),
        (
            "csv",
            ROWS,
            columns("ACD", "alpha"),
            (
                "row 3 has 'alpha' in the column of that name; if row 1 is no header, say "
                "--no-header --sequence-column 1 --label-column 2; if it is one, say "
                "--no-header=false"
            ),
        ),
        ("csv", ROWS, columns("3", "2", no_header=True), "no column '3'; its columns are '1', '2'"),
        (
            "csv",
            b"sequence,label\nA,x\n",
            NUMBERS,
            "row 1 is a header: 'sequence', 'label'; leave out --no-header",
        ),
        (
            "csv",
            b">id alpha\nACD\n",
            OPTIONS,
            "row 1 begins with '>', as FASTA does; say --format fasta",
        ),
        (
            "csv",
            b'{"sequence": "A", "label": "x"}\n',
            columns("s", "l", delimiter=","),
            "if it is JSON Lines, say --format jsonl",
        ),
    ],
)
def test_a_table_that_is_not_what_it_is_taken_for_is_refused_with_the_flag_that_reads_it(
    form: str, data: bytes, wanted: InputOptions, message: str
) -> None:
    with pytest.raises(DataError) as raised:
        read_header(io.BytesIO(data), form, wanted)
    assert message in str(raised.value)


def test_whoever_says_so_has_a_header_that_looks_like_a_row() -> None:
    header = read_header(io.BytesIO(ROWS), "csv", columns("ACD", "alpha", no_header=False))
    assert header == Header(("ACD", "alpha"), 0, 1, 10, 2, has_header=True)
    one = read_header(
        io.BytesIO(b"A;b\n"),
        "csv",
        PredictOptions(
            model="m", input=("i",), output="o", sequence_column="A;b", delimiter=","
        ).input_options,
    )
    assert one.columns == ("A;b",)

"""Headers: the columns of a file and where its rows begin, from its first bytes."""

from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from charseq.errors import DataError
from pipeline.formats import headers
from pipeline.formats.headers import Header, read_header
from pipeline.options import FORMATS, Options
from pipeline.predict.options import PredictOptions
from pipeline.rows import parsing, sources

pytestmark = pytest.mark.unit

OPTIONS = Options(input=("i",), output="o").input_options
WITHOUT_LABELS = PredictOptions(model="m", input=("i",), output="o").input_options


@pytest.mark.parametrize(
    ("form", "data", "header"),
    [
        ("csv", b'label,"sequence"\nx,A\n', Header(("label", "sequence"), 1, 0, 17, 2)),
        ("csv", b"\xef\xbb\xbfsequence,label\r\n", Header(("sequence", "label"), 0, 1, 19, 2)),
        ("csv", b"sequence,label", Header(("sequence", "label"), 0, 1, 14, 2)),
        ("tsv", b'sequence\t"a\tlabel\n', Header(("sequence", '"a', "label"), 0, 2, 18, 2)),
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
    with pytest.raises(DataError, match=r"^no column 'label'; .* say which with --label-column$"):
        read_header(io.BytesIO(data), "csv", OPTIONS)


def test_every_format_has_a_suffix_a_header_and_a_parser() -> None:
    assert set(sources._FORMAT_OF_SUFFIX.values()) == set(FORMATS)
    assert set(headers._READERS) == set(FORMATS)
    assert set(parsing._PARSERS) == set(FORMATS)

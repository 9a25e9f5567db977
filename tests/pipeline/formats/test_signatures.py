"""The first bytes of a file: compression, encoding, and UTF-16 as UTF-8."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charseq.errors import DataError
from pipeline.formats.signatures import (
    check_is_text,
    decode_stream,
    find_compression,
    find_encoding,
)

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("data", "compression"),
    [
        (gzip.compress(b"A", mtime=0), "gzip"),
        (bz2.compress(b"A"), "bz2"),
        (pa.compress(b"A", "zstd", asbytes=True), "zstd"),
        (b"A", None),
        (b"", None),
    ],
)
def test_compression(data: bytes, compression: str | None) -> None:
    assert find_compression(data) == compression
    stream = decode_stream(io.BytesIO(data), compression, "utf-8")
    assert stream.read(2) == (b"A" if data else b"")


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (b"", "utf-8"),
        (b"A", "utf-8"),
        (b"\0", "utf-8"),
        ("ABé\0\n".encode(), "utf-8"),
        ("\ufeffA".encode(), "utf-8"),
        (b"\xff\xfeA\0", "utf-16-le"),
        (b"\xfe\xff\0A", "utf-16-be"),
    ],
)
def test_encoding(data: bytes, encoding: str) -> None:
    assert find_encoding(data) == encoding


@pytest.mark.parametrize(
    ("encoding", "message"),
    [
        ("utf-16-le", "looks like UTF-16 without a byte order mark; convert it: iconv -f UTF-16LE"),
        ("utf-16-be", "looks like UTF-16 without a byte order mark; convert it: iconv -f UTF-16BE"),
        ("utf-32", "it is UTF-32"),
    ],
)
def test_an_encoding_that_is_not_read_is_named(encoding: str, message: str) -> None:
    with pytest.raises(DataError) as raised:
        find_encoding("sequence,label\nжзи,ж\n".encode(encoding))
    assert message in str(raised.value)


def test_a_binary_file_is_named() -> None:
    check_is_text(b"PKA,x\n")
    with pytest.raises(DataError, match="it is an SQLite database; export the table as CSV"):
        check_is_text(b"SQLite format 3\0")


TEXT = st.text(st.characters(codec="utf-8") | st.sampled_from("é😀\n\0"), max_size=40)


@given(TEXT, st.sampled_from(["utf-16-le", "utf-16-be"]), st.integers(1, 7))
def test_utf16_is_read_as_utf8_however_it_is_cut(text: str, encoding: str, size: int) -> None:
    stream = decode_stream(io.BytesIO(text.encode(encoding)), None, encoding)
    found = b""
    while chunk := stream.read(size):
        assert len(chunk) == size or stream.read(1) == b""
        found += chunk
    assert found == text.encode()


def test_half_a_pair_is_not_utf8_and_costs_no_other_line() -> None:
    data = codecs.BOM_UTF16_LE + "A\n\ud800\nC\n".encode("utf-16-le", "surrogatepass")
    stream = decode_stream(io.BytesIO(data), None, "utf-16-le")
    assert stream.read().split(b"\n") == [b"\xef\xbb\xbfA", b"\xed\xa0\x80", b"C", b""]
    with pytest.raises(UnicodeError):
        decode_stream(io.BytesIO(data[:-1]), None, "utf-16-le").read()

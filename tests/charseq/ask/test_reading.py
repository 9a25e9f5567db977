from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from charseq.ask import reading
from charseq.ask.reading import read_batches
from charseq.errors import DataError

pytestmark = pytest.mark.unit


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """The ends of a pipe, to read and to write."""
    receiver, sender = os.pipe()
    yield receiver, sender
    for end in (receiver, sender):
        try:
            os.close(end)
        except OSError:
            continue


def test_a_lone_line_is_read_at_once_and_what_is_waiting_as_one_batch(
    pipe: tuple[int, int],
) -> None:
    receiver, sender = pipe
    batches = read_batches(receiver)
    os.write(sender, b"AB\n")
    assert next(batches) == [b"AB"]
    os.write(sender, b"C\r\n\nD")
    assert next(batches) == [b"C", b""]
    os.write(sender, b"E\nF")
    assert next(batches) == [b"DE"]
    os.close(sender)
    assert list(batches) == [[b"F"]]


def test_a_batch_has_at_most_so_many_lines(pipe: tuple[int, int]) -> None:
    receiver, sender = pipe
    os.write(sender, b"A\nB\nC\nD\nE\n")
    os.close(sender)
    assert list(read_batches(receiver, max_lines=2)) == [[b"A", b"B"], [b"C", b"D"], [b"E"]]


def test_a_file_is_read_to_its_end_without_a_byte_order_mark(tmp_path: Path) -> None:
    lines = [f"{number:06}".encode() for number in range(30_000)]
    (tmp_path / "rows").write_bytes(b"\xef\xbb\xbf" + b"\n".join(lines))
    descriptor = os.open(tmp_path / "rows", os.O_RDONLY)
    batches = list(read_batches(descriptor))
    os.close(descriptor)
    assert [line for batch in batches for line in batch] == lines
    assert max(map(len, batches)) <= 8192


def test_nothing_has_no_batch(tmp_path: Path) -> None:
    descriptor = os.open(os.devnull, os.O_RDONLY)
    assert list(read_batches(descriptor)) == []
    os.close(descriptor)


def test_a_line_without_an_end_is_refused(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_MAX_LINE_BYTES", 4)
    receiver, sender = pipe
    os.write(sender, b"AB\nCDEFG")
    with pytest.raises(DataError, match="line 2 is longer than 16 MiB"):
        list(read_batches(receiver))

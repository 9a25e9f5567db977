"""Files that a stranger might have, and what `python -m pipeline` does with each.

Usage: python -m tests.support.strangers_files

It prints the status and the first two lines that the preparation says of each file. None of them
may end in a wrong dataset with status 0 and no word.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.__main__ import main

ROWS = [
    (
        f"{letters[n % 4]}{letters[n // 4 % 4]}{letters[n // 16 % 4]}" + letters[n % 3] * (n % 5),
        label,
    )
    for n in range(150)
    for letters, label in (("ACDE", "alpha"), ("GHIK", "beta"))
]
READ = "300 rows read in"
MISSING = r"note: labels that read like a missing value: '\\N' (1)"


@dataclass(frozen=True)
class StrangersFile:
    """A file, and what the preparation must make of it.

    status, says: how it must end, and what it must say. flags: given with the file. labels: those
    of the dataset, if there is one.
    """

    name: str
    content: bytes
    status: int
    says: str
    flags: tuple[str, ...] = ()
    labels: tuple[str, ...] = ("alpha", "beta")

    @property
    def title(self) -> str:
        """The name and the flags."""
        return " ".join([self.name, *self.flags])


def _table(
    delimiter: str = ",", header: str | None = "sequence,label", end: str = "\n", quote: str = ""
) -> str:
    lines = [] if header is None else [header.split(",")]
    lines += [list(row) for row in ROWS]
    return "".join(delimiter.join(f"{quote}{cell}{quote}" for cell in line) + end for line in lines)


def _parquet(labels: list[object]) -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.table({"sequence": [text for text, _ in ROWS], "label": labels}), stream)
    return stream.getvalue()


def _workbook() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
    return stream.getvalue()


def _json_rows() -> list[dict[str, str]]:
    return [{"sequence": text, "label": label} for text, label in ROWS]


def _fasta() -> str:
    return "".join(
        f">sp|P{n:05}|{label}\n{text[:3]}\n{text[3:]}\n" for n, (text, label) in enumerate(ROWS)
    )


def _numbered(rows: list[tuple[str, str]], delimiter: str) -> str:
    return "".join(f"{n}{delimiter}{a}{delimiter}{b}\n" for n, (a, b) in enumerate(rows))


def make_files() -> Iterator[StrangersFile]:
    """Yield the files."""
    no_header = "--no-header --sequence-column 1 --label-column 2"
    dump = _numbered([*ROWS[:-1], (ROWS[-1][0], r"\N")], "\t")
    numbers = ("--no-header", "--sequence-column", "2", "--label-column", "3")
    first = ("--sequence-column", ROWS[0][0], "--label-column", ROWS[0][1])
    text = _table()
    yield StrangersFile("spreadsheet.csv", _table(end="\r\n").encode("utf-8-sig"), 0, READ)
    yield StrangersFile("dump.tsv", dump.encode(), 1, "if row 1 is no header, say --no-header")
    yield StrangersFile("dump.tsv", dump.encode(), 0, MISSING, numbers, ("alpha", "beta", r"\N"))
    pandas = ",sequence,label\n" + _numbered(ROWS, ",")
    yield StrangersFile("pandas_index.csv", pandas.encode(), 0, READ)
    yield StrangersFile("peptides.fasta", _fasta().encode(), 0, READ)
    yield StrangersFile("peptides.csv", _fasta().encode(), 1, "say --format fasta")
    fasta_as_text = ("--format", "text", "--label-from", "file")
    yield StrangersFile("peptides.fa", _fasta().encode(), 1, "say --format fasta", fasta_as_text)
    yield StrangersFile("utf16.csv", text.encode("utf-16"), 0, READ)
    yield StrangersFile("utf16_without_mark.csv", text.encode("utf-16-le"), 1, "iconv -f UTF-16LE")
    tabs = _table("\t")
    yield StrangersFile("unicode_text.txt", tabs.encode("utf-16"), 1, "say --format tsv")
    yield StrangersFile("semicolons.csv", _table(";").encode(), 1, "say --delimiter ';'")
    one_column = ("--sequence-column", "sequence;label")
    yield StrangersFile(
        "semicolons.csv", _table(";").encode(), 1, "say --delimiter ';'", one_column
    )
    yield StrangersFile("semicolons.csv", _table(";").encode(), 0, READ, ("--delimiter", ";"))
    yield StrangersFile("tabs.csv", tabs.encode(), 1, "say --delimiter tab")
    bare = _table(header=None).encode()
    yield StrangersFile("no_header.csv", bare, 1, f"if row 1 is no header, say {no_header}")
    yield StrangersFile("no_header.csv", bare, 1, f"if row 1 is no header, say {no_header}", first)
    yield StrangersFile("no_header.csv", bare, 0, READ, tuple(no_header.split()))
    yield StrangersFile("array.jsonl", json.dumps(_json_rows()).encode(), 1, "it is a JSON array")
    indented = "\n".join(json.dumps(row, indent=2) for row in _json_rows())
    yield StrangersFile("indented.jsonl", indented.encode(), 1, "spread over several lines")
    yield StrangersFile("rows.json", text.encode(), 1, "cannot tell the format from the name")
    yield StrangersFile("gzip.csv", gzip.compress(text.encode(), mtime=0), 0, READ)
    yield StrangersFile("plain.csv.gz", text.encode(), 1, "by its name it is compressed with gzip")
    yield StrangersFile("old_mac.csv", _table(end="\r").encode(), 1, "carriage returns alone")
    yield StrangersFile("quoted.csv", _table(quote='"').encode(), 0, READ)
    yield StrangersFile("workbook.xlsx", _workbook(), 1, "save the sheet as CSV")
    yield StrangersFile("workbook.csv", _workbook(), 1, "save the sheet as CSV")
    yield StrangersFile("empty.csv", b"", 1, "empty.csv is empty")
    yield StrangersFile("only_header.csv", b"sequence,label\n", 1, "nothing but headers")
    other = _table(header="peptide,family").encode()
    yield StrangersFile("other_names.csv", other, 1, "its columns are 'peptide', 'family'")
    columns = ("--sequence-column", "peptide", "--label-column", "family")
    yield StrangersFile("other_names.csv", other, 0, READ, columns)
    yield StrangersFile("empty_lines_at_end.csv", f"{text}\n\n\r\n".encode(), 0, READ)
    accents = text.replace("beta", "bêta").encode("windows-1252")
    yield StrangersFile("windows_1252.csv", accents, 1, "invalid_utf8")
    numbers_of_labels: list[object] = [None, *[float(n % 2) for n in range(299)]]
    yield StrangersFile(
        "double_label.parquet", _parquet(numbers_of_labels), 0, READ, labels=("0", "1")
    )
    fractions: list[object] = [n / 7 for n in range(300)]
    yield StrangersFile("regression.parquet", _parquet(fractions), 1, "label_not_text")
    together = (text + text).encode()
    yield StrangersFile("put_together.csv", together, 0, "rejected 1 (1 repeated_header)")
    yield StrangersFile("commas.txt", text.encode(), 1, "say --format csv")


def run(file: StrangersFile, directory: Path) -> tuple[int, list[str]]:
    """Prepare a file in a new directory; return the status and what was said, without progress."""
    (directory / file.name).write_bytes(file.content)
    paths = ["--input", str(directory / file.name), "--output", str(directory / "dataset")]
    streams = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(streams[0]), contextlib.redirect_stderr(streams[1]):
        status = main([*paths, *file.flags])
    lines = [line for stream in streams for line in stream.getvalue().splitlines()]
    noise = ("{", "preparing ")
    return status, [line for line in lines if not line.startswith(noise)]


def _print_all() -> None:
    for file in make_files():
        with tempfile.TemporaryDirectory() as directory:
            status, lines = run(file, Path(directory))
            print(f"{file.title}: status {status}")
            print("\n".join(f"    {line.replace(f'{directory}/', '')}" for line in lines[:2]))


if __name__ == "__main__":
    _print_all()

"""The input files: which there are, what is wrong with them, and what identifies their content."""

from __future__ import annotations

import gzip
import json
import os
import tempfile
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from charseq.errors import DataError, UsageError
from pipeline.__main__ import main
from pipeline.input_options import InputOptions
from pipeline.options import Options
from pipeline.rows.parts import cut_into_parts
from pipeline.rows.sources import find_nonempty_sources, find_sources
from tests.support.archives import make_zip

pytestmark = pytest.mark.unit

# sha256sum of "abc" (FIPS 180-2, B.1) and of nothing.


def options(path: Path | str, **changes: object) -> InputOptions:
    options = Options(input=(str(path),), output="unused", **changes)  # type: ignore[arg-type]
    return options.input_options


def test_files_come_in_order_of_their_paths(tmp_path: Path) -> None:
    for name in ("b.csv", "a.csv", "c.tsv"):
        (tmp_path / name).write_text("sequence,label\n".replace(",", ",\t"[name == "c.tsv"]))
    patterns = (f"{tmp_path}/*.csv", f"{tmp_path}/*.tsv", f"{tmp_path}/a*")
    found = find_sources(Options(input=patterns, output="o").input_options)
    assert [Path(source.path).name for source in found] == ["a.csv", "b.csv", "c.tsv"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("no.csv", None, "no file matches --input"),
        ("a.csv", b"id,label\n1,x\n", "no column 'sequence'; its columns are 'id', 'label'"),
        (
            "a.csv",
            b"sequence,label,label\n",
            "a.csv: columns 2 and 3 are all named 'label'; say which, as --label-column 2, or",
        ),
        ("a.csv,b.csv", None, "a.csv,b.csv'; several are given as --input A B, or as a pattern"),
        ("{a,b}.csv", None, "no file matches --input '"),
        ("a.csv", b"sequ\xffence,label\n", "row 1: the header is not UTF-8"),
        ("a.jsonl", b'{"text": "A"}\n', "no column 'sequence'; its columns are 'text'"),
        ("a.dat", b"sequence,label\n", "or say --format"),
        (
            "a.csv.gz",
            b"sequence,label\n",
            "a.csv.gz: cannot be read: by its name it is compressed with gzip, but it is not",
        ),
        (
            "a.csv",
            gzip.compress(gzip.compress(b"s", mtime=0), mtime=0),
            "a.csv: it is compressed twice; decompress",
        ),
        ("a.parquet", b"PAR1", "a.parquet: cannot be read: Parquet file size is 4 bytes"),
        ("a.csv", b"PAR1", "a.csv: cannot be read: Parquet file size is 4 bytes"),
        ("a.parquet", b"sequence", "a.parquet: it is not Parquet, as its name or --format says"),
        ("a.zip", b"PK\x03\x04", "a.zip: cannot be read: File is not a zip file"),
        (
            "a.xlsx",
            make_zip({"[Content_Types].xml": b"", "xl/workbook.xml": b""}),
            "a.xlsx: it is an Excel workbook or another document; save the sheet as CSV",
        ),
        (
            "a.zip",
            make_zip({"a.csv": b"", "b.csv": b""}),
            "a.zip: it is a zip archive of 2 files, expected one: a.csv, b.csv; unpack it",
        ),
        ("a.zip", make_zip({"a/": b""}), "it is a zip archive of 0 files, expected one; unpack it"),
        (
            "a.csv",
            b"sequence,label\rA,x\rC,y\r",
            "a.csv: its lines end with carriage returns alone, expected newlines; convert it: tr",
        ),
        (
            "a.csv",
            b"sequence,label," + b"c" * 200_000,
            "the header is not CSV: field larger",
        ),
        ("a.csv", "sequence,label\n".encode("utf-16-le"), "like UTF-16 without a byte order mark"),
        ("a.csv", "sequence,label\n".encode("utf-16-be"), "convert it: iconv -f UTF-16BE -t UTF-8"),
        ("a.csv", "sequence,label\n".encode("utf-32"), "it is UTF-32; convert it: iconv -f UTF-32"),
        ("a.csv", b"label" + b",c" * 99, "'c', 'c', 'c', and 80 more; say which"),
        ("a.csv", b"A" * (2 << 20), "no line end in the first 1048576 bytes"),
        ("a.jsonl", b"[" * 100_000, "it is a JSON array, expected JSON Lines, one object per line"),
        ("a.jsonl", b"oops\n", "no column 'sequence'; its columns are (none)"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    if content is not None:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as raised:
        find_sources(options(tmp_path / name))
    assert message in str(raised.value)


def test_a_bad_first_line_of_json_lines_costs_only_itself(tmp_path: Path) -> None:
    for first in ("[", '{"sequence":', "[]", "oops"):
        lines = [first, *['{"sequence": "A", "label": "x"}'] * 2]
        (tmp_path / "a.jsonl").write_text("\n".join(lines))
        (source,) = find_sources(options(tmp_path / "a.jsonl"))
        assert source.header.columns == ("sequence", "label")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (">id alpha\nACDE\n", "row 1 begins with '>', as FASTA does; say --format fasta"),
        ("sequence\tlabel\nA\tx\nC\ty\n", "every line has a tab in it; if it separates columns"),
        ("A,x\nC,y\n\nD,x", "every line has ',' in it; if it separates columns, say --format csv;"),
    ],
)
def test_text_that_looks_like_another_format_is_named(
    tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(DataError) as raised:
        find_sources(options(tmp_path / "a.txt"))
    assert message in str(raised.value)
    if text[0] != ">":
        explicit = options(tmp_path / "a.txt", format="text", label_from="file")
        assert find_sources(explicit)[0].format == "text"


def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.csv")
    with pytest.raises(DataError, match=r"a\.csv is a pipe or a device, expected a regular file"):
        find_sources(options(tmp_path / "a.csv"))


def test_a_key_that_comes_late_in_json_lines_is_found(tmp_path: Path) -> None:
    lines = ['{"sequence": "A"}'] * 200 + ['{"sequence": "C", "label": "x"}']
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    (source,) = find_sources(options(tmp_path / "a.jsonl"))
    assert source.header.columns == ("sequence", "label")


def test_a_directory_stands_for_all_files_below_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"no file matches --input '{tmp_path}'$"):
        find_sources(options(tmp_path))
    for name in ("a.csv", "below/b.csv", "_SUCCESS"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("sequence,label\nA,x\n")
    found = find_sources(options(tmp_path))
    assert [source.path for source in found] == [f"{tmp_path}/a.csv", f"{tmp_path}/below/b.csv"]


def test_every_alternative_in_braces_has_to_match(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv", "{a,c}.csv"):
        (tmp_path / name).write_text("sequence,label\nA,x\n")
    found = find_sources(options(f"{tmp_path}/{{a,b}}.csv"))
    assert [Path(source.path).name for source in found] == ["a.csv", "b.csv"]
    # A file of that very name comes first.
    found = find_sources(options(f"{tmp_path}/{{a,c}}.csv"))
    assert [Path(source.path).name for source in found] == ["{a,c}.csv"]
    with pytest.raises(DataError, match=r"no file matches --input '.*/d\.csv'"):
        find_sources(options(f"{tmp_path}/{{a,d}}.csv"))


def test_what_is_passed_over_is_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "._a.csv").write_text("x")
    with pytest.raises(DataError, match=r"1 file was passed over, whose name.*; to read one"):
        find_sources(options(f"{tmp_path}/*.csv"))
    (tmp_path / "a.csv").write_text("sequence,label\nA,x\n")
    find_nonempty_sources(options(f"{tmp_path}/*.csv"))
    assert capsys.readouterr().err == (
        "note: 1 file was passed over, whose names begin with . or _, or which mark folders: "
        f"{tmp_path}/._a.csv; to read one, name it\n"
    )


def test_a_file_matched_twice_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.csv").write_text("sequence,label\nA,x\n")
    (tmp_path / "link.csv").symlink_to("a.csv")
    monkeypatch.chdir(tmp_path)
    inputs = ("a.csv", "*.csv", "./a.csv", f"{tmp_path}//a.csv", f"{tmp_path}/*.csv")
    found = find_sources(Options(input=inputs, output="o").input_options)
    assert sorted(Path(source.path).name for source in found) == ["a.csv", "link.csv"]


def test_a_glob_may_begin_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data1").mkdir()
    (tmp_path / "data1" / "a.csv").write_text("sequence,label\n")
    for folder, pattern in ((tmp_path / "data1", "*.csv"), (tmp_path, "data*/a.csv")):
        monkeypatch.chdir(folder)
        assert [Path(s.path).name for s in find_sources(options(pattern))] == ["a.csv"]


def test_a_dangling_link_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "a.csv").symlink_to("nowhere")
    for pattern in ("a.csv", "*.csv"):
        with pytest.raises(DataError, match="no file matches"):
            find_sources(options(tmp_path / pattern))


def test_a_file_that_may_not_be_read_is_named() -> None:
    # Not tmp_path: root, who may read everything, becomes another user, who may not enter that.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.csv"
        path.write_text("sequence,label\nA,x\n")
        path.chmod(0)
        Path(folder).chmod(0o755)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)
        try:
            with pytest.raises(DataError, match=r"a\.csv: cannot be read: .*denied"):
                find_sources(options(path))
        finally:
            os.seteuid(user)


@pytest.mark.parametrize(
    ("name", "label_from", "message"),
    [
        (".txt", "file", ".txt: --label-from file gives the label '', expected a name"),
        (".txt.gz", "file", ".txt.gz: --label-from file gives the label ''"),
        (" .txt", "file", "the label ' '"),
        ("a\nb.txt", "file", r"the label 'a\nb'"),
        (b"a\xff.txt", "file", r"the label 'a\udcff'"),
    ],
)
def test_a_path_that_gives_no_label_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str | bytes,
    label_from: str,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    path = os.fsdecode(name)
    Path(path).write_bytes(gzip.compress(b"A\n") if path.endswith("gz") else b"A\n")
    with pytest.raises(DataError) as raised:
        find_sources(options(path, label_from=label_from))
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"delimiter": ";"}, "a.jsonl: --delimiter: is for csv and tsv, not for jsonl"),
        (
            {"no_header": True, "sequence_column": "2", "label_column": "1"},
            "a.jsonl: --no-header: is for csv and tsv, not for jsonl",
        ),
    ],
)
def test_flags_of_tables_go_with_tables_only(
    tmp_path: Path, flags: dict[str, Any], message: str
) -> None:
    (tmp_path / "a.jsonl").write_text('{"sequence": "A", "label": "x", "1": "y", "2": "C"}\n')
    with pytest.raises(UsageError) as raised:
        find_sources(options(tmp_path / "a.jsonl", **flags))
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("name", "label_from", "message"),
    [
        ("a.txt", None, "a.txt: text has no label column: say --label-from directory"),
        ("a.csv", "file", "--label-from: is for text and fasta, but "),
    ],
)
def test_label_from_goes_with_text_only(
    tmp_path: Path, name: str, label_from: str | None, message: str
) -> None:
    (tmp_path / name).write_text("sequence,label\nA,x\n")
    with pytest.raises(UsageError) as raised:
        find_sources(options(tmp_path / name, label_from=label_from))
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("sequence", 1.5, "column 'sequence' is double, expected text; say which column has the"),
        ("sequence", 1, "column 'sequence' is int64, expected text"),
        ("label", [1], "column 'label' is list<element: int64>, expected text, whole numbers or"),
        ("label", date(2020, 1, 1), "column 'label' is date32[day], expected text"),
    ],
)
def test_a_parquet_column_of_another_type_is_named(
    tmp_path: Path, column: str, value: object, message: str
) -> None:
    columns = {"sequence": ["A"], "label": ["x"], column: [value]}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    with pytest.raises(DataError) as raised:
        find_sources(options(tmp_path / "a.parquet"))
    assert message in str(raised.value)


@pytest.mark.parametrize(("name", "header"), [("a.csv", "sequence,label\n"), ("a.txt", "\ufeff")])
def test_files_without_rows_are_refused_unless_another_has_one(
    tmp_path: Path, name: str, header: str
) -> None:
    label_from = "file" if name == "a.txt" else None
    (tmp_path / name).write_text(header, encoding="utf-8")
    with pytest.raises(DataError, match=r"no rows in .*(nothing but headers|is empty)"):
        find_nonempty_sources(options(tmp_path / name, label_from=label_from))
    (tmp_path / f"b{name}").write_text(f"{header}A,x\n", encoding="utf-8")
    found = find_nonempty_sources(options(tmp_path / f"*{name}", label_from=label_from))
    assert [source.is_only_header for source in found] == [True, False]


def test_files_of_no_bytes_are_noted_unless_all_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(5):
        (tmp_path / f"part-{number}.csv").touch()
    (tmp_path / "part-5.csv").touch()
    with pytest.raises(DataError) as raised:
        find_nonempty_sources(options(f"{tmp_path}/part-3.csv"))
    assert str(raised.value) == (
        f"no rows in {tmp_path}/part-3.csv: the file {tmp_path}/part-3.csv is empty"
    )
    (tmp_path / "part-3.csv").write_text("sequence,label\nA,x\n")
    found = find_nonempty_sources(options(f"{tmp_path}/*"))
    assert [source.is_only_header for source in found] == [True] * 3 + [False] + [True] * 2
    assert [part.source.path for part in cut_into_parts(found)] == [f"{tmp_path}/part-3.csv"]
    assert capsys.readouterr().err == (
        f"note: 5 files are empty: {tmp_path}/part-0.csv, {tmp_path}/part-1.csv, "
        f"{tmp_path}/part-2.csv and 2 more\n"
    )


def test_a_compressed_file_of_nothing_is_empty(tmp_path: Path) -> None:
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b""))
    (source,) = find_sources(options(tmp_path / "a.csv.gz"))
    assert (source.header.is_empty, source.is_only_header) == (True, True)


@pytest.mark.integration
def test_a_dataset_names_what_it_was_made_from_but_its_fingerprint_does_not(
    tmp_path: Path,
) -> None:
    found = []
    for name, end in (("lf", "\n"), ("crlf", "\r\n")):
        data = tmp_path / f"{name}.csv"
        rows = "".join(f"{c},x\n{c}{c},y\n" for c in "abcde")
        data.write_text(f"sequence,label\n{rows}", newline=end)
        flags = ["--input", str(data), "--output", str(tmp_path / name), "--split", "train=1"]
        assert main(flags) == 0
        found.append(json.loads((tmp_path / name / "dataset.json").read_text()))
    assert found[0]["inputs"] == [
        {
            "path": str(tmp_path / "lf.csv"),
            "bytes": 60,
            # sha256sum lf.csv
            "identity": "sha256:9d1ad6bbd641068dfde18cfa938ca420b78374304c0cf6ca07b0f87293ba6bf4",
        }
    ]
    assert found[1]["inputs"][0]["identity"] != found[0]["inputs"][0]["identity"]
    assert found[0]["fingerprint"] == found[1]["fingerprint"]


def test_a_file_with_the_name_of_a_pattern_is_that_file(tmp_path: Path) -> None:
    for name, row in (("rows[1].csv", "AC,x"), ("rows1.csv", "CA,y")):
        (tmp_path / name).write_text(f"sequence,label\n{row}\n")
    options = Options(input=(str(tmp_path / "rows[1].csv"),), output="o").input_options
    assert [Path(source.path).name for source in find_sources(options)] == ["rows[1].csv"]
    (tmp_path / "rows[1].csv").unlink()
    assert [Path(source.path).name for source in find_sources(options)] == ["rows1.csv"]


def test_a_bracket_in_the_name_of_a_directory_is_explained(tmp_path: Path) -> None:
    (tmp_path / "data[1]").mkdir()
    (tmp_path / "data[1]" / "a.csv").write_text("sequence,label\nA,x\n")
    with pytest.raises(DataError, match=r"1\]/\*\.csv'; in a pattern, \[\[\] stands for an open"):
        find_sources(options(tmp_path / "data[1]" / "*.csv"))
    assert len(find_sources(options(tmp_path / "data[[]1]" / "*.csv"))) == 1

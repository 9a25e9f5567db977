"""Rows in memory as a file of JSON Lines."""

from __future__ import annotations

import json
import os
import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from charseq.api.rows import as_input
from charseq.errors import DataError, UsageError
from pipeline.formats.jsonl import parse_jsonl

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path / f"charseq-{os.getuid()}"


def lines_of(rows: object) -> list[dict[str, Any]]:
    with as_input(rows) as (path,):
        return [json.loads(line) for line in Path(path).read_text().splitlines()]


def test_paths_are_passed_on() -> None:
    for given, expected in (
        ("a*.csv", ["a*.csv"]),
        (Path("a.csv"), ["a.csv"]),
        (["a.csv", Path("b.csv")], ["a.csv", "b.csv"]),
        (None, []),
    ):
        with as_input(given) as paths:
            assert paths == expected


def test_any_text_arrives_as_it_is() -> None:
    rows = [("A\tB,\"'\n\r\0", "x"), ("é\u2028\U0001f600", "\\u0041"), ("\ud800", "y")]
    with as_input(iter(rows)) as (path,):
        parsed = parse_jsonl(Path(path).read_bytes(), "sequence", "label")
    texts = [value.as_py().decode() for value in parsed.sequence]
    assert texts == [sequence for sequence, _ in rows[:2]]
    assert [value.as_py().decode() for value in parsed.label] == ["x", "\\u0041"]
    assert [(row.row, row.reason) for row in parsed.bad] == [(2, "invalid_utf8")]


def test_labels_of_other_types_and_missing_ones() -> None:
    rows = [["A", 1], ["B", np.int64(2)], ["C", True], ["D", None], ["E", float("nan")]]
    labels = [row["label"] for row in lines_of(rows)]
    assert labels == [1, 2, True, None, None]


def test_a_frame_keeps_its_columns() -> None:
    frame = pd.DataFrame(
        {
            "peptide": ["AC", None],
            "class": pd.Categorical(["x", "y"]),
            "weight": [0.5, float("nan")],
            "donor": pd.array([3, None], "Int64"),
            "day": pd.to_datetime(["2026-01-31", None]),
        }
    )
    assert lines_of(frame) == [
        {"peptide": "AC", "class": "x", "weight": 0.5, "donor": 3, "day": "2026-01-31T00:00:00"},
        {"peptide": None, "class": "y", "weight": None, "donor": None, "day": None},
    ]


def test_the_same_rows_have_the_same_path_and_leave_nothing(temporary: Path) -> None:
    paths = []
    for rows in ([("A", "x")], [("A", "x")], [("A", "y")]):
        with as_input(rows) as (path,):
            paths.append(path)
        assert list(temporary.iterdir()) == []
    assert paths[0] == paths[1] != paths[2]
    assert re.fullmatch(r"rows-[0-9a-f]{16}\.jsonl", Path(paths[0]).name)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "got no rows, expected some, or paths"),
        (3, "got 3, expected rows or paths"),
        ([("A", "x"), ("A",)], r"row 2: got 1 values, expected \(sequence, label\)"),
        ([("A", "x"), "AB"], r"row 2: got 'AB', expected \(sequence, label\)"),
        ([("A", "x"), 5], r"row 2: got 5, expected \(sequence, label\)"),
        (
            [{"sequence": "A", "label": "a"}],
            r"row 1: got \{'sequence'.* expected \(sequence",
        ),
        ([{"A", "a"}], r"row 1: got \{.* expected \(sequence"),
        (
            pd.DataFrame([["A", "a", "b"]], columns=["sequence", "label", "label"]),
            "got two columns",
        ),
        ([("A", object)], r"row 1: got .* expected text, numbers, true, false, times or nothing"),
    ],
)
def test_what_are_no_rows(rows: object, message: str, temporary: Path) -> None:
    with pytest.raises(UsageError, match=f"^{message}"), as_input(rows):
        pass
    assert not temporary.exists() or list(temporary.iterdir()) == []


def test_a_folder_that_others_can_write_to_is_refused(temporary: Path) -> None:
    temporary.mkdir()
    temporary.chmod(0o777)
    with pytest.raises(DataError, match=r"only you can write to"), as_input([("A", "x")]):
        pass
    temporary.rmdir()
    temporary.symlink_to(temporary.parent)
    with pytest.raises(DataError, match=r"only you can write to"), as_input([("A", "x")]):
        pass

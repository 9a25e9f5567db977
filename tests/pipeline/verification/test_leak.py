"""`inspect --leak`: rows with a near-copy in the train split."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.__main__ import main as prepare_main
from pipeline.inspect import main
from pipeline.verification import leak
from pipeline.verification.leak import Nearest, describe_leak, find_nearest
from pipeline.verification.records import Record

TEXTS = st.lists(st.text("ABCÉ", min_size=1, max_size=6), min_size=1, max_size=12)


def record(text: str, label: str = "x") -> Record:
    return Record(text, len(text), label)


def edit_distance(one: str, other: str) -> int:
    """The edit distance by its definition, row by row."""
    before = list(range(len(other) + 1))
    for number, character in enumerate(one, 1):
        row = [number]
        for place, another in enumerate(other):
            row.append(
                min(row[-1] + 1, before[place + 1] + 1, before[place] + (character != another))
            )
        before = row
    return before[-1]


@pytest.mark.unit
@given(TEXTS, TEXTS, st.integers(1, 5))
def test_the_nearest_row_is_found(rows: list[str], train: list[str], chunk: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leak, "ROWS_AT_ONCE", chunk)
        found = find_nearest([*map(record, rows)], iter([*map(record, train)]))
    assert found.num_train == len(train)
    for row, nearest, identity in zip(rows, found.nearest, found.identity, strict=True):
        identities = [1 - edit_distance(row, other) / max(len(row), len(other)) for other in train]
        assert identity == pytest.approx(max(identities))
        assert nearest.sequence == train[identities.index(max(identities))]


@pytest.mark.unit
def test_an_unknown_character_is_like_no_other() -> None:
    rows, train = [record("A\ufffdC"), record("AB")], [record("A\ufffdC")]
    assert find_nearest(rows, iter(train)).identity.tolist() == pytest.approx([2 / 3, 1 / 3])


@pytest.mark.unit
def test_what_is_said_of_near_rows() -> None:
    rows = [record("AAAAA"), record("ABCDE", "y"), record("CC")]
    nearest = [record("AAAAB"), record("ABCDX"), record("AB", "z")]
    found = Nearest(rows, nearest, np.array([0.8, 0.8, 0.0], np.float32), 70_000)
    assert describe_leak(found, "test", 0.8).splitlines() == [
        "2 of 3 rows of test (66.7 %; 95 %: 20.8 % to 93.9 %) have a train row of identity 0.8 or "
        "more, of 70,000",
        "1 of 3 rows (33.3 %) with the label of their nearest train row, of the near ones 1 of 2 "
        "rows (50.0 %), of the others 0 of 1 rows (0 %)",
        "nearest train row  rows",
        "identity 1.0 +          0  0 %",
        "identity 0.9 +          0  0 %",
        "identity 0.8 +          2  66.7 %",
        "identity 0.7 +          2  66.7 %",
        "identity 0.6 +          2  66.7 %",
        "identity 0.5 +          2  66.7 %",
        "  0.800  AAAAA (x)  like  AAAAB (x)",
        "  0.800  ABCDE (y)  like  ABCDX (x)",
        "  0.000  CC (x)  like  AB (z)",
    ]


@pytest.mark.parametrize("flags", [(), ("--encoding", "one_hot"), ("--folds", "3")])
def test_near_copies_in_a_dataset(
    tmp_path: Path, flags: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """Rows in pairs that differ in one of ten characters, and so are alike by 0.9."""
    rows = [f"{letter * 9}{end},x" for letter in "ABCDEFGHIJKLMNOPQRSTUVW" for end in "YZ"]
    rows += [f"{number}{'+' * number}{number},y" for number in range(9)]
    (tmp_path / "rows.csv").write_text("\n".join(["sequence,label", *rows]) + "\n")
    data = str(tmp_path / "data")
    argv = ["--input", str(tmp_path / "rows.csv"), "--output", data, "--max-length", "10"]
    splits = [] if "--folds" in flags else ["--split", "train=0.5,test=0.5"]
    more = ["--alphabet-size", "40", "--max-rejected-fraction", "1"]
    assert prepare_main([*argv, *more, *splits, *flags]) == 0
    capsys.readouterr()
    assert main([data, "--leak", "0.9"]) == 0
    out = capsys.readouterr().out
    split = "fold-0" if "--folds" in flags else "test"
    found = re.match(rf"(\d+) of (\d+) rows of {split} ", out)
    assert found
    assert 0 < int(found[1]) <= int(found[2])
    assert re.search(r"  0\.900  (\w)\1{8}[YZ] \(x\)  like  \1{9}[YZ] \(x\)", out)
    assert main([data, "--leak", "1"]) == 0
    assert capsys.readouterr().out.startswith("0 of ")


def test_train_rows_are_no_test_of_themselves(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [f"{n:05d},{'xy'[n % 2]}" for n in range(100)]
    (tmp_path / "rows.csv").write_text("\n".join(["sequence,label", *rows]) + "\n")
    data = str(tmp_path / "data")
    assert prepare_main(["--input", str(tmp_path / "rows.csv"), "--output", data]) == 0
    assert main([data, "--leak", "0.8", "--split", "train"]) == 2
    assert "--split: got 'train', expected one of validation, test" in capsys.readouterr().err
    assert main([data, "--leak", "0"]) == 2
    expected = "--leak: got 0.0, expected a number above 0, at most 1"
    assert expected in capsys.readouterr().err
    assert main([data, "--leak", "1", "--label", "x"]) == 2
    for shard in Path(data, "train").iterdir():
        shard.unlink()
    capsys.readouterr()
    assert main([data, "--leak", "1"]) == 1
    assert "part-00000-of-00001.tfrecord cannot be read: " in capsys.readouterr().err

"""A preparation with splits of the user's own, through its real entry point."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest

from pipeline.__main__ import main
from pipeline.inspect import main as inspect_main
from tests.support.preparation import manifest_of, read_split

ALPHABET = "ACDE"
# Sequence, label, and the value of the column `part`.
TRAIN = [(f"{a}{b}{c}", "xy"[(a, b) < (b, c)], "train") for a in "ACD" for b in "AC" for c in "DE"]
DEV = [("EEA", "x", "dev"), ("EEC", "y", "dev"), ("EEC", "y", "dev"), ("ACE", "x", "dev")]
TEST = [("CEE", "x", "test"), ("CEE", "x", "test"), ("EEA", "y", " test "), ("CAD", "y", "test")]
WRONG = [("DDD", "x", "none"), ("DDE", "y", "")]


def write(path: Path, rows: list[tuple[str, str, str]], *, column: bool = True) -> str:
    """Write rows as CSV, with or without the column of their split; return the path."""
    header = "sequence,part,label\n" if column else "sequence,label\n"
    lines = [f"{s},{p},{y}\n" if column else f"{s},{y}\n" for s, y, p in rows]
    path.write_text(header + "".join(lines))
    return str(path)


def prepare(output: Path, *flags: str) -> dict[str, Any]:
    """Prepare a dataset, which must succeed, and return its dataset.json."""
    options = ["--alphabet", ALPHABET, "--max-length", "3", "--output", str(output)]
    assert main([*options, *flags]) == 0
    return manifest_of(output)


def by_column(tmp_path: Path, *flags: str, rows: list[tuple[str, str, str]]) -> dict[str, Any]:
    path = write(tmp_path / "rows.csv", rows)
    column = ["--split-column", "part", "--split-values", "dev=validation"]
    return prepare(tmp_path / "out", "--input", path, *column, *flags)


def texts(dataset: Path, split: str) -> list[str]:
    """Return the sequences and labels of a split, as `ACD x`, in order of the text."""
    records = read_split(dataset, manifest_of(dataset), split)
    return sorted(
        "".join(ALPHABET[i - 1] for i in ids[:length]) + f" {label}"
        for ids, length, label in records
    )


def count_parts(manifest: dict[str, Any]) -> tuple[int, ...]:
    names = ("read", "train", "validation", "test", "duplicates", "rejected")
    return tuple(manifest["counts"][name] for name in names)


def test_a_column_decides_and_leaks_leave_the_train_split(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [*TRAIN, *DEV, *TEST, *WRONG]
    manifest = by_column(tmp_path, "--max-rejected-fraction", "0.1", rows=rows)
    dataset = tmp_path / "out"
    assert texts(dataset, "validation") == ["ACE x", "EEA x", "EEC y", "EEC y"]
    assert texts(dataset, "test") == ["CAD y", "CEE x", "CEE x", "EEA y"]
    dropped = {"ACE", "CAD"}
    assert texts(dataset, "train") == sorted(f"{s} {y}" for s, y, _ in TRAIN if s not in dropped)
    assert count_parts(manifest) == (22, 10, 4, 4, 0, 4)
    assert manifest["counts"]["rejected_by_reason"] == {"in_other_split": 2, "unknown_split": 2}
    assert manifest["counts"]["leaks"] == {
        "train+validation": 1,
        "train+test": 1,
        "validation+test": 1,
    }
    (note,) = (note for note in manifest["notes"] if note.startswith("sequences in more than one"))
    assert note.startswith(
        "sequences in more than one given split: 1 in train and validation, 1 in train and test, "
        "1 in validation and test, such as "
    )
    assert sorted(re.findall("'[A-E]+'", note)) == ["'ACE'", "'CAD'", "'EEA'"]
    assert note in capsys.readouterr().out
    assert "1 in train and validation" in (dataset / "report.html").read_text()
    rejected = [
        json.loads(line)
        for path in sorted((dataset / "rejected").iterdir())
        for line in path.read_text().splitlines()
    ]
    assert [(row["row"], row["reason"], row["raw"]) for row in rejected] == [
        (5, "in_other_split", "ACE,y"),
        (6, "in_other_split", "CAD,x"),
        (22, "unknown_split", "DDD,none,x"),
        (23, "unknown_split", "DDE,,y"),
    ]
    assert inspect_main([str(dataset), "--verify"]) == 0
    assert inspect_main([str(dataset)]) == 0
    assert "sequences in train+validation" in capsys.readouterr().out


def test_with_report_no_row_is_dropped(tmp_path: Path) -> None:
    manifest = by_column(tmp_path, "--leaks", "report", rows=[*TRAIN, *DEV, *TEST])
    assert count_parts(manifest) == (20, 12, 4, 4, 0, 0)
    (note,) = (note for note in manifest["notes"] if note.startswith("sequences in more than one"))
    assert note.endswith("; all their rows are kept")
    assert inspect_main([str(tmp_path / "out"), "--verify"]) == 0


def test_with_fail_nothing_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "rows.csv", [*TRAIN, *TEST])
    flags = ["--split-column", "part", "--leaks", "fail", "--alphabet", ALPHABET]
    assert main(["--input", path, "--output", str(tmp_path / "out"), *flags]) == 1
    (line,) = (each for each in capsys.readouterr().err.splitlines() if each.startswith("error"))
    assert line == (
        "error: sequences in more than one given split: 1 in train and test, such as 'CAD'; "
        "--leaks drop-from-train rejects those among the train rows, --leaks report keeps all"
    )
    assert not (tmp_path / "out" / "dataset.json").exists()


def test_an_input_for_each_split_makes_the_dataset_of_the_column(tmp_path: Path) -> None:
    rows = [*TRAIN, *DEV, *TEST]
    random.Random(1).shuffle(rows)
    expected = by_column(tmp_path, rows=rows)
    flags = []
    for split, part in (("train", TRAIN), ("validation", DEV), ("test", TEST)):
        flags += [f"--{split}-input", write(tmp_path / f"{split}.csv", part, column=False)]
    manifest = prepare(tmp_path / "inputs", *flags, "--direct_num_workers=2")
    assert manifest["fingerprint"] == expected["fingerprint"]
    assert [file["split"] for file in manifest["inputs"]] == ["test", "train", "validation"]
    # The same command again has nothing to do; with two of the inputs exchanged it is refused.
    assert (
        main(
            [
                *flags,
                "--alphabet",
                ALPHABET,
                "--max-length",
                "3",
                "--output",
                str(tmp_path / "inputs"),
            ]
        )
        == 0
    )
    flags[3], flags[5] = flags[5], flags[3]
    assert (
        main(
            [
                *flags,
                "--alphabet",
                ALPHABET,
                "--max-length",
                "3",
                "--output",
                str(tmp_path / "inputs"),
            ]
        )
        == 1
    )


def test_without_validation_rows_that_split_is_cut_from_train_rows(tmp_path: Path) -> None:
    train = [
        (f"{a}{b}{c}", "xy"[a < b], "train") for a in ALPHABET for b in ALPHABET for c in ALPHABET
    ]
    test = [("AC", "x", "test"), ("AC", "x", "test"), ("DC", "y", "test")]
    flags = ("--split", "train=0.5,validation=0.25,test=0.25")
    manifest = by_column(tmp_path, *flags, rows=[*train, *train[:9], *test])
    read, num_train, validation, num_test, duplicates, rejected = count_parts(manifest)
    assert (read, num_test, duplicates, rejected) == (76, 3, 9, 0)
    assert num_train + validation == 64
    assert 12 < validation < 30  # a third
    assert "no validation rows are given: that split is cut" in " ".join(manifest["notes"])
    cut, rest = texts(tmp_path / "out", "validation"), texts(tmp_path / "out", "train")
    assert sorted(cut + rest) == sorted(f"{s} {y}" for s, y, _ in train)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (TRAIN, "all rows are train rows by --split-column part: leave it out"),
        (
            [(f"{s}E", y, "test") for s, y, _ in TRAIN],
            "no usable row is in the train split (train 0, validation 0, test 12)",
        ),
    ],
)
def test_a_column_that_does_not_split(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], rows: list[Any], message: str
) -> None:
    path = write(tmp_path / "rows.csv", rows)
    flags = ["--split-column", "part", "--alphabet", ALPHABET]
    assert main(["--input", path, "--output", str(tmp_path / "out"), *flags]) == 1
    assert message in capsys.readouterr().err


def test_one_file_cannot_be_two_splits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "rows.csv", TRAIN, column=False)
    twin = str(tmp_path / "." / "rows.csv")
    flags = ["--train-input", path, "--test-input", twin, "--output", str(tmp_path / "out")]
    assert main(flags) == 1
    assert "is in both --train-input and --test-input" in capsys.readouterr().err


EMPTY_INPUTS = {
    "a header": ("sequence,label\n", [], "test"),
    "unusable rows": ("sequence,label\n,x\n,y\n", ["--max-rejected-fraction=1"], "validation"),
    "unseen labels": (
        "sequence,label\nEEE,zzz\nEED,zzz\n",
        ["--max-rejected-fraction=1"],
        "validation",
    ),
    "rare labels": ("sequence,label\nEEE,zzz\nEED,zzz\n", ["--min-label-rows=3"], "test"),
}


@pytest.mark.parametrize("what", EMPTY_INPUTS)
def test_an_input_of_a_split_has_usable_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    text, flags, split = EMPTY_INPUTS[what]
    (tmp_path / "empty.csv").write_text(text)
    train = write(tmp_path / "train.csv", TRAIN, column=False)
    other = "validation" if split == "test" else "test"
    inputs = [f"--{split}-input", str(tmp_path / "empty.csv")]
    if what != "a header":
        inputs += [f"--{other}-input", write(tmp_path / "other.csv", DEV, column=False)]
    argv = ["--train-input", train, *inputs, *flags, "--alphabet", ALPHABET, "--max-length", "3"]
    assert main([*argv, "--output", str(tmp_path / "out")]) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(f"error: no usable row is in the {split} split (train 1")


def test_files_that_were_put_together_have_a_split_column_too(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.csv", [*TRAIN, *DEV, *TEST])
    Path(path).write_text(Path(path).read_text() * 2)
    flags = ["--split-column", "part", "--split-values", "dev=validation"]
    flags += ["--max-rejected-fraction", "0.1"]
    manifest = prepare(tmp_path / "out", "--input", path, *flags)
    assert manifest["counts"]["rejected_by_reason"] == {"in_other_split": 4, "repeated_header": 1}

"""Splits by label, group and time, through the real entry point and from any order of the input."""

from __future__ import annotations

import json
import random
from collections import Counter, defaultdict
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rapidfuzz.distance.Levenshtein import distance

from pipeline.__main__ import main
from pipeline.inspect import main as inspect_main
from tests.support.preparation import manifest_of, read_split

SPLITS = ("train", "validation", "test")
ALPHABET = "ACDEFGH"


class Row(NamedTuple):
    """A row of the input."""

    sequence: str
    label: str
    donor: str
    when: str


def make_rows() -> list[Row]:
    """Return rows of three labels.

    Some are there twice, three sequences have a second label, donor and time, and the last row has
    neither a donor nor a time.
    """
    rng = random.Random(0)
    rows = []
    for number in range(300):
        sequence = "".join(rng.choices(ALPHABET, k=5)) + ALPHABET[number % 7]
        label = "x" if number < 200 else "y" if number < 290 else "z"
        rows.append(Row(sequence, label, f"d{number // 4}", f"2026-{1 + number % 12:02d}-15"))
    shared = [Row(rows[n].sequence, "y", f"d{(n + 40) // 4}", "2026-01-01") for n in (9, 22, 150)]
    return [*rows, *rows[:5], *shared, Row("ACCA", "x", " ", "yesterday")]


def write_csv(path: Path, rows: list[Row]) -> str:
    path.write_text("\n".join([",".join(Row._fields), *map(",".join, rows)]) + "\n")
    return str(path)


def write_parquet(path: Path, rows: list[Row]) -> str:
    pq.write_table(pa.Table.from_pylist([row._asdict() for row in rows]), path, row_group_size=50)
    return str(path)


BEGINNINGS = ("--validation-from", "2026-09-01", "--test-from", "2026-11-01")
FLAGS = {
    "stratify": ["--stratify", "--split", "train=0.7,validation=0.2,test=0.1"],
    "group": ["--group-column", "donor"],
    "time": ["--time-column", "when", *BEGINNINGS],
    "folds": ["--folds", "4"],
    "stratified folds": ["--folds", "4", "--stratify"],
    "folds of groups": ["--folds", "4", "--group-column", "donor"],
    "similar": ["--similar", "0.8"],
    "similar, drop": ["--similar", "0.8", "--similar-policy", "drop"],
    "folds of similar": ["--folds", "4", "--similar", "0.8"],
}


def prepare(output: Path, paths: list[str], *flags: str) -> dict[str, Any]:
    options = ["--alphabet", ALPHABET, "--max-length", "6", "--output", str(output)]
    assert main(["--input", *paths, *options, *flags]) == 0
    return manifest_of(output)


def rejected(dataset: Path) -> Counter[str]:
    files = (dataset / "rejected").glob("*.jsonl")
    return Counter(
        json.loads(line)["reason"] for file in files for line in file.read_text().splitlines()
    )


def splits_of(dataset: Path, manifest: dict[str, Any]) -> dict[tuple[str, str], str]:
    """Return the split of each sequence and label."""
    return {
        ("".join(ALPHABET[i - 1] for i in ids[:length]), label): split
        for split in manifest["label_counts"]
        for ids, length, label in read_split(dataset, manifest, split)
    }


@pytest.fixture(scope="module", params=FLAGS)
def prepared(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path, list[Row]]:
    """The way to split, the dataset and its rows; another order of the rows makes the same."""
    folder = tmp_path_factory.mktemp(request.param)
    rows = make_rows()
    flags = FLAGS[request.param]
    manifest = prepare(folder / "one", [write_csv(folder / "rows.csv", rows)], *flags)
    random.Random(1).shuffle(rows)
    parts = [
        write_parquet(folder / "a.parquet", rows[:100]),
        write_csv(folder / "b.csv", rows[100:]),
    ]
    again = prepare(folder / "two", parts, *flags, "--direct_num_workers=2")
    assert again["fingerprint"] == manifest["fingerprint"]
    assert inspect_main([str(folder / "one"), "--verify"]) == 0
    return request.param, folder / "one", rows


def test_each_row_is_accounted_for(prepared: tuple[str, Path, list[Row]]) -> None:
    way, dataset, rows = prepared
    counts = manifest_of(dataset)["counts"]
    parts = [counts[name] for name in (*SPLITS, "duplicates", "rejected")]
    assert counts["read"] == sum(parts) == len(rows) == 309
    reasons = {
        "group": {"missing_group": 1},
        "folds of groups": {"missing_group": 1},
        "time": {"unreadable_time": 1, "in_other_split": 2},
        "similar, drop": {"near_other_split": 6},
    }
    assert counts["rejected_by_reason"] == rejected(dataset) == reasons.get(way, {})


def test_rows_are_in_the_splits_that_were_asked_for(
    prepared: tuple[str, Path, list[Row]],
) -> None:
    way, dataset, rows = prepared
    manifest = manifest_of(dataset)
    split = splits_of(dataset, manifest)
    of_sequence: dict[str, set[str]] = defaultdict(set)
    for (sequence, _), name in split.items():
        of_sequence[sequence].add(name)
    if way == "time":
        check_times(split, rows)
        return
    assert {len(names) for names in of_sequence.values()} == {1}
    if "folds" in way:
        assert set(split.values()) == {"fold-0", "fold-1", "fold-2", "fold-3"}
        assert manifest["counts"]["train"] == len(split)
    if way == "stratify":
        check_shares(split, manifest)
    elif way == "stratified folds":
        sizes = Counter(name for (_, label), name in split.items() if label == "z")
        assert sorted(sizes.values()) == [2, 2, 3, 3]
    elif "group" in way:
        check_groups(of_sequence, rows)
        assert any(note.endswith("6 groups are joined to 3") for note in manifest["notes"])

    if "similar" in way:
        check_similar(split, manifest)


def check_similar(split: dict[tuple[str, str], str], manifest: dict[str, Any]) -> None:
    """Check that no train sequence is within one edit of six characters of another split."""
    of_split: dict[str, set[str]] = defaultdict(set)
    for (sequence, _), name in split.items():
        of_split[name].add(sequence)
    near = {
        (name, other)
        for (name, some), (other, others) in combinations(of_split.items(), 2)
        if any(distance(one, another) <= 1 for one in some for another in others)
    }
    found = manifest["similar"]
    assert found["leak"]["near"] == 0
    assert found["leak_by_hash"]["near"] > 0
    if manifest["options"]["similar_policy"] == "drop":
        assert near <= {("validation", "test")}
        assert found["dropped"] == 6
    else:
        assert near == set()
        assert found["linked"] > found["clusters"] > 1


def check_times(split: dict[tuple[str, str], str], rows: list[Row]) -> None:
    """Check that each record is of the split of one of its rows."""
    times: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in rows:
        place = sum(row.when >= start for start in ("2026-09-01", "2026-11-01"))
        times[row.sequence, row.label].add(SPLITS[place])
    assert all(name in times[record] for record, name in split.items())


def check_groups(of_sequence: dict[str, set[str]], rows: list[Row]) -> None:
    """Check that all rows of a donor are in one split."""
    of_donor: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        if row.donor.strip():
            of_donor[row.donor] |= of_sequence[row.sequence]
    assert {len(names) for names in of_donor.values()} == {1}


def check_shares(split: dict[tuple[str, str], str], manifest: dict[str, Any]) -> None:
    """Check the shares of 200 or so sequences of x, 90 of y and 10 of z."""
    labels: dict[str, list[str]] = defaultdict(list)
    for sequence, label in split:
        labels[sequence].append(label)
    found = {
        name: Counter(
            split[sequence, name] for sequence, names in labels.items() if names == [name]
        )
        for name in "yz"
    }
    assert found["z"] == {"train": 7, "validation": 2, "test": 1}
    assert found["y"] == {"train": 63, "validation": 18, "test": 9}
    assert list(manifest["strata"]) == ["x", "y", "z"]
    assert {len(first) for firsts in manifest["strata"].values() for first in firsts} == {16}

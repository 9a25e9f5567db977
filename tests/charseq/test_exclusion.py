"""Datasets without the rows of some sequences: what the index and the manifest say of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from charseq.errors import DataError
from charseq.exclusion import (
    Excluded,
    Records,
    find_records,
    prepared_sequences,
    read_exclusion_file,
    view_without,
)
from charseq.manifest import RowCounts, Shard
from charseq.text.hashing import hash_pairs, hash_text
from tests.support.manifests import toy_manifest

pytestmark = pytest.mark.unit

SEED = 7
PLAIN = {"normalize": "none", "lowercase": False, "strip": False}


def write(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return str(path)


def test_a_file_has_a_sequence_on_each_line_that_is_not_blank(tmp_path: Path) -> None:
    path = write(tmp_path / "gone.txt", b"\xef\xbb\xbfAC\r\n\n \t\nD E \n\xc3\xa9\n\xe3\x80\x80\nF")
    file = read_exclusion_file(path)
    assert file.texts == ("AC", "D E ", "é", "F")
    assert file.sha256 == "53243eca576bcdc9744364082cc9dbc4f8fc811363339a45f6a712e392769aa2"
    assert read_exclusion_file(write(tmp_path / "none", b"")).texts == ()


def test_a_file_that_is_not_there_or_not_utf_8_is_refused(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    with pytest.raises(DataError) as raised:
        read_exclusion_file(missing)
    assert str(raised.value) == f"--exclude {missing}: No such file or directory"
    latin = write(tmp_path / "latin", b"AC\nD\xe9\n")
    with pytest.raises(DataError) as raised:
        read_exclusion_file(latin)
    assert str(raised.value) == f"--exclude {latin}: line 2 is not UTF-8"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (PLAIN, ("ABC", "B", " B ")),
        ({**PLAIN, "too_long": "truncate"}, ("ABC", "B", " B ")),
        # Longer ones were rejected: they have no row, and "ABC" is another sequence.
        ({**PLAIN, "too_long": "reject"}, ("ABCD", "B", " B ", "ABCE")),
    ],
)
def test_sequences_are_cut_unless_longer_ones_were_rejected(
    options: dict[str, Any], expected: tuple[str, ...]
) -> None:
    manifest = toy_manifest(options=options)
    assert prepared_sequences(("ABCD", "B", " B ", "B", "ABCE"), manifest) == expected


def index_of(*rows: tuple[str, str]) -> np.ndarray:
    hashes = np.array([hash_text(sequence, SEED) for sequence, _ in rows], np.uint64)
    pairs = [
        hash_pairs(hashes[number : number + 1], label, SEED)[0]
        for number, (_, label) in enumerate(rows)
    ]
    index = np.stack([hashes, np.array(pairs, np.uint64)], axis=1)
    return index[np.argsort(hashes, kind="stable")]


def by_hash(*sequences: str) -> dict[int, str]:
    return {hash_text(sequence, SEED): sequence for sequence in sequences}


def test_records_are_found_with_all_their_labels() -> None:
    index = index_of(("A", "x"), ("A", "y"), ("BA", "x"), ("B", "y"), ("B", "y"), ("AAB", "x"))
    found = find_records(index, by_hash("B", "A", "ABB"), ["x", "y"], SEED)
    assert found.positions.tolist() == sorted(found.positions.tolist())
    assert sorted(zip(found.sequences, found.labels, strict=True)) == [
        *(("A", "x"), ("A", "y"), ("B", "y"), ("B", "y")),
    ]
    for position, sequence in zip(found.positions, found.sequences, strict=True):
        assert index[position, 0] == hash_text(sequence, SEED)
    nothing = find_records(index, by_hash("ABB"), ["x", "y"], SEED)
    assert (nothing.positions.tolist(), nothing.sequences, nothing.labels) == ([], (), ())
    assert find_records(index, {}, ["x"], SEED).sequences == ()
    assert find_records(index[:0], by_hash("A"), ["x"], SEED).sequences == ()


def test_a_record_of_no_label_is_of_another_dataset() -> None:
    with pytest.raises(ValueError, match="a record has none of the labels of the dataset"):
        find_records(index_of(("A", "x"), ("A", "z")), by_hash("A"), ["x", "y"], SEED)


MANIFEST = toy_manifest(
    counts=RowCounts(12, 6, 0, 2, 3, 1, {"too_long": 1}, 2, 1, 4),
    shards=(
        Shard("train/0", "train", 4, 99, "ab"),
        Shard("train/1", "train", 2, 98, "cd"),
        Shard("test/0", "test", 2, 97, "ef"),
    ),
    label_counts={"train": {"x": 4, "y": 2}, "test": {"y": 2}},
    length_histogram={"train": {"1": 1, "2": 3, "3": 2}, "test": {"3": 2}},
    character_counts={"train": {"A": 9}, "test": {"A": 1}},
)


def records(*rows: tuple[int, str, str]) -> Records:
    positions, sequences, labels = zip(*rows, strict=True)
    return Records(np.array(positions, np.int64), sequences, labels)


def test_a_view_counts_only_the_rows_that_are_left() -> None:
    removed = {
        "train/0": records((1, "A", "x"), (3, "BC", "y")),
        "train/1": records((0, "C😀", "x"), (1, "AB", "x")),
        "test/0": records((1, "AAC", "y")),
    }
    view = view_without(MANIFEST, removed, "data")
    assert [shard.records for shard in view.shards] == [2, 0, 1]
    assert [shard.path for shard in view.shards_of("train")] == ["train/0"]
    assert view.label_counts == {"train": {"x": 1, "y": 1}, "test": {"y": 1}}
    assert view.length_histogram == {"train": {"3": 2}, "test": {"3": 1}}
    assert view.counts == RowCounts(7, 2, 0, 1, 3, 1, {"too_long": 1}, 2, 1, 0)
    assert view.character_counts is None
    assert view.fingerprint == MANIFEST.fingerprint
    assert view.labels == MANIFEST.labels


def test_a_split_must_keep_a_row() -> None:
    removed = {"test/0": records((0, "AAA", "y"), (1, "AAC", "y"))}
    with pytest.raises(DataError) as raised:
        view_without(MANIFEST, removed, "data")
    assert str(raised.value) == "--exclude leaves data without a row in its split 'test'"


def test_rows_of_folds_count_as_train_rows() -> None:
    folds = toy_manifest(
        counts=RowCounts(6, 6, 0, 0, 0, 0, {}, 0, 0, 0),
        shards=tuple(Shard(f"fold-{n}/0", f"fold-{n}", 2, 99, "ab") for n in range(3)),
        label_counts={f"fold-{n}": {"x": 2} for n in range(3)},
        length_histogram={f"fold-{n}": {"1": 2} for n in range(3)},
    )
    view = view_without(folds, {"fold-1/0": records((0, "A", "x"))}, "data")
    assert (view.counts.read, view.counts.train) == (5, 5)
    assert view.label_counts == {"fold-0": {"x": 2}, "fold-1": {"x": 1}, "fold-2": {"x": 2}}


def test_what_is_said() -> None:
    positions = {"train/0": np.array([1, 3]), "test/0": np.array([0])}
    excluded = Excluded("ab", positions, 2, 0)
    assert excluded.describe() == "excluded 3 rows of 2 sequences"
    assert Excluded("ab", {"a": np.array([1])}, 1, 1).describe() == (
        "excluded 1 row of 1 sequence (1 sequence of the file has no row)"
    )
    assert Excluded("ab", {}, 0, 1234).describe() == (
        "excluded 0 rows of 0 sequences (1,234 sequences of the file have no row)"
    )
    assert excluded.to_json() == {"sha256": "ab", "rows": 3, "sequences": 2}


def test_which_records_of_a_shard_are_kept() -> None:
    excluded = Excluded("ab", {"train/0": np.array([1, 3])}, 2, 0)
    assert excluded.is_kept(Shard("train/0", "train", 3, 99, "ab")).tolist() == [
        *(True, False, True, False, True),
    ]
    assert excluded.is_kept(Shard("train/1", "train", 2, 99, "ab")).tolist() == [True, True]

"""Records that are wrong by themselves, and the keys of their sequences."""

from __future__ import annotations

import numpy as np
import pytest

from charseq.manifest import Manifest
from pipeline.tfrecord.framing import one_hot_rows
from pipeline.verification.record_checks import Records, find_wrong_records, sequence_keys
from tests.support.manifests import toy_manifest

pytestmark = pytest.mark.unit

IDS = toy_manifest()
ONE_HOT = toy_manifest(encoding="one_hot")


def records_of(ids: list[int], length: int, label: int = 0) -> Records:
    """Return a sound record of ids, then another."""
    rows = np.array([[1, 0, 0], ids])
    return Records(rows, rows, np.array([1, length]), np.array([0, label]))


def one_hot_records(ids: list[int], length: int, vectors: list[list[float]]) -> Records:
    """Return a sound record of one-hot vectors, then another whose vectors are read as `ids`."""
    records = records_of(ids, length)
    sequence = np.stack([one_hot_rows(records.ids[:1], 2)[0], np.array(vectors, np.float32)])
    return records._replace(sequence=sequence)


def problems(records: Records, manifest: Manifest) -> list[tuple[str, int]]:
    """Return each problem, and the number of the first record that has it."""
    return [
        (problem, int(np.argwhere(wrong)[0, 0]))
        for problem, wrong in find_wrong_records(records, manifest)
        if wrong.any()
    ]


@pytest.mark.parametrize(
    ("records", "problem"),
    [
        (records_of([0, 0, 0], 0), "length not in 1 to 3"),
        (records_of([1, 1, 1], 4), "length not in 1 to 3"),
        (records_of([1, 4, 0], 2), "id above 3"),
        (records_of([1, 2, 0], 2, 2), "label not in 0 to 1"),
        (records_of([1, 0, 0], 2), "padding not exactly behind the length"),
        (records_of([1, 2, 3], 2), "padding not exactly behind the length"),
    ],
)
def test_wrong_ids_are_found(records: Records, problem: str) -> None:
    assert problems(records, IDS) == [(problem, 1)]


def test_sound_records_have_no_problem() -> None:
    assert problems(records_of([1, 3, 2], 3, 1), IDS) == []
    unknown_inside = one_hot_records([1, 0, 2], 3, [[1, 0], [0, 0], [0, 1]])
    assert problems(unknown_inside, ONE_HOT) == []


@pytest.mark.parametrize("vector", [[1, 1], [0.5, 0], [2, 0], [1, -1]])
def test_a_vector_that_is_not_one_hot_is_found(vector: list[float]) -> None:
    records = one_hot_records([1, 2, 0], 2, [vector, [0, 1], [0, 0]])
    assert problems(records, ONE_HOT) == [("a vector is not one-hot", 1)]


def test_one_hot_padding_before_the_length_is_an_unknown_character() -> None:
    records = one_hot_records([1, 2, 0], 1, [[1, 0], [0, 1], [0, 0]])
    assert problems(records, ONE_HOT) == [("padding not exactly behind the length", 1)]


def test_equal_sequences_have_equal_keys_and_unknown_ones_have_none() -> None:
    assert len(sequence_keys(records_of([1, 0, 0], 1), 3)) == 2
    assert len(np.unique(sequence_keys(records_of([1, 0, 0], 1), 3))) == 1
    assert len(np.unique(sequence_keys(records_of([1, 1, 0], 2), 3))) == 2
    assert len(sequence_keys(records_of([1, 3, 0], 2), 3)) == 1
    # One-hot: A and an unknown character, which is no key of A alone.
    assert len(sequence_keys(records_of([1, 0, 0], 2), 3)) == 1

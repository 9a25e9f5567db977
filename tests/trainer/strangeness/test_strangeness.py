from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from charseq.models.graph_check import check_graph
from tests.support.datasets import toy_rows, write_dataset
from trainer.data.id_rows import IdRows
from trainer.ngrams.hashing import hash_ngrams, mark_ends
from trainer.strangeness.fit import count_all_ngrams, fit_strangeness
from trainer.strangeness.model import StrangenessModel, SurpriseModel
from trainer.strangeness.table import look_up, pack_counts

pytestmark = pytest.mark.unit

UNKNOWN = 3  # ids 1 and 2 are characters


def some_rows() -> Iterator[IdRows]:
    """Yield "12" twice, in two blocks: 1, 2 and the end."""
    for _ in range(2):
        ids = np.array([[1, 2, 0]])
        yield IdRows(ids, np.array([2]), np.array([0]), None)


@pytest.fixture(scope="module", name="model")
def _model() -> SurpriseModel:
    return SurpriseModel(count_all_ngrams(some_rows(), UNKNOWN), UNKNOWN)


def surprise(model: SurpriseModel, *ids: int) -> float:
    row = tf.constant([[*ids, *[0] * (3 - len(ids))]], tf.int64)
    return float(model.surprise(row, tf.constant([len(ids)], tf.int64))[0])


def test_the_surprise_of_a_row_that_was_seen_twice(model: SurpriseModel) -> None:
    # Symbols after another: 1, 2 and the end, twice each, of 3 kinds; there could be a fourth, 3.
    single = (2 + 3 * (1 / 4)) / (6 + 3)
    # After each n-gram there was one kind of symbol, both times.
    two = (2 + 1 * single) / (2 + 1)
    three = (2 + 1 * two) / (2 + 1)
    four = (2 + 1 * three) / (2 + 1)
    # 1 after the begin, 2 after both, the end after all three.
    assert surprise(model, 1, 2) == pytest.approx(-math.log(two * three * four) / 3, rel=1e-5)


def test_an_unknown_character_is_one_of_all_in_unicode(model: SurpriseModel) -> None:
    # Never seen, so it has what single symbols leave over; the begin was never followed by it: 1 of
    # 3. What comes after it is as after nothing.
    unseen = (3 * (1 / 4)) / (6 + 3)
    end = (2 + 3 * (1 / 4)) / (6 + 3)
    expected = -math.log(unseen / 3 * end) + math.log(150_000)
    assert surprise(model, UNKNOWN) == pytest.approx(expected / 2, rel=1e-5)


def test_counts_are_found_by_their_hashes() -> None:
    counts = count_all_ngrams(some_rows(), UNKNOWN)
    packed = pack_counts(counts)
    hashes = hash_ngrams(mark_ends(np.array([[1, 2, 0], [2, 3, 0]]), tf.constant([2, 2]), 3), 4)
    found = look_up(tf.constant(packed), hashes).numpy()[..., 0]
    # Begin, 1, 2, the end, padding: how often each occurs, and how many kinds of symbols follow.
    assert found[0, :, 0].tolist() == [[2, 1], [2, 1], [2, 1], [2, 1], [0, 0]]
    assert found[0, :, 1].tolist() == [[0, 0], [2, 1], [2, 1], [2, 1], [0, 0]]
    assert found[0, :, 3].tolist() == [[0, 0], [0, 0], [0, 0], [2, 1], [0, 0]]
    # Begin, 2, 3, the end: 3 was never seen, and no pair of these.
    assert found[1, :, 0].tolist() == [[2, 1], [2, 1], [0, 0], [2, 1], [0, 0]]
    assert not found[1, :, 1].any()


def test_strangeness_is_the_share_of_rows_that_surprise_less(model: SurpriseModel) -> None:
    at = surprise(model, 2)
    known = np.array([at + 1, at - 1, at, at - 2], np.float32)
    strangeness = StrangenessModel(model, known)
    ids, length = tf.constant([[2, 0, 0]], tf.int64), tf.constant([1], tf.int64)
    got, share = strangeness.measure(ids, length)
    assert float(got[0]) == pytest.approx(at)
    assert float(share[0]) == 0.5


def test_rows_like_those_of_training_are_less_strange(tmp_path: Path) -> None:
    dataset = write_dataset(
        tmp_path / "data", {"train": toy_rows(200), "validation": toy_rows(50, seed=1)}
    )
    model = fit_strangeness(dataset)
    assert model is not None
    unknown = dataset.manifest.unknown_id
    ids = tf.constant([[1, 2, 3, 0, 0, 0], [unknown] * 6], tf.int64)
    _, strangeness = model.measure(ids, tf.constant([3, 6], tf.int64))
    assert float(strangeness[0]) < float(strangeness[1])


def test_one_hot_records_give_the_same_model(tmp_path: Path) -> None:
    rows = {"train": toy_rows(40), "validation": toy_rows(20, seed=1)}
    ids, length = tf.constant([[1, 2, 0, 0, 0, 0]], tf.int64), tf.constant([2], tf.int64)
    ids_model, one_hot_model = (
        fit_strangeness(write_dataset(tmp_path / encoding, rows, encoding=encoding))
        for encoding in ("ids", "one_hot")
    )
    assert ids_model is not None
    assert one_hot_model is not None
    for mine, other in zip(
        ids_model.measure(ids, length), one_hot_model.measure(ids, length), strict=True
    ):
        assert mine.numpy() == other.numpy()


def test_without_validation_rows_there_is_none(tmp_path: Path) -> None:
    assert fit_strangeness(write_dataset(tmp_path, {"train": toy_rows(9)})) is None


def test_its_graph_only_computes(model: SurpriseModel, tmp_path: Path) -> None:
    strangeness = StrangenessModel(model, np.array([1.0, 2.0], np.float32))
    tf.saved_model.save(strangeness, str(tmp_path / "model"))
    check_graph((tmp_path / "model" / "saved_model.pb").read_bytes(), "model")

"""The file of the baseline."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from charseq.errors import DataError
from trainer.baseline.linear import LinearModel
from trainer.baseline.ngrams import BUCKETS
from trainer.baseline.saved import load_baseline, save_baseline
from trainer.run_directory import Run

pytestmark = pytest.mark.unit


def run_in(directory: Path, labels: str = "abc") -> Run:
    return Run(
        directory=str(directory),
        representation="embedding",
        batch_size=4,
        fingerprint="",
        max_length=6,
        alphabet_size=4,
        alphabet=("A",),
        labels=tuple(labels),
    )


def model() -> LinearModel:
    vectors = np.zeros((BUCKETS, 2), np.float32)
    vectors[[7, BUCKETS - 1]] = [[1.5, 0], [-2, 0.25]]
    matrix = np.array([[1, 2, 3], [4, 5, 6]], np.float32)
    return LinearModel(vectors, matrix, np.array([0.1, 0.2, 0.3], np.float32))


def test_a_baseline_is_read_back(tmp_path: Path) -> None:
    save_baseline(str(tmp_path), model())
    read = load_baseline(run_in(tmp_path))
    assert read is not None
    for name in ("vectors", "matrix", "bias"):
        got, expected = getattr(read, name), getattr(model(), name)
        assert got.dtype == np.float32
        np.testing.assert_array_equal(got, expected)
    assert [path.name for path in tmp_path.iterdir()] == ["ngram_baseline.npz"]


def test_only_vectors_that_are_not_zero_are_kept(tmp_path: Path) -> None:
    save_baseline(str(tmp_path), model())
    with np.load(tmp_path / "ngram_baseline.npz") as archive:
        assert archive["buckets"].tolist() == [7, BUCKETS - 1]
        assert archive["vectors"].dtype == np.float16
    # 32 dimensions of all buckets, the most there are, are 16 MiB of vectors and 1 of buckets.
    arrays = (np.ones(shape, np.float32) for shape in ((BUCKETS, 32), (32, 64), 64))
    full = LinearModel(*arrays)
    save_baseline(str(tmp_path), full)
    assert (tmp_path / "ngram_baseline.npz").stat().st_size < 18_000_000


def test_the_same_baseline_gives_the_same_bytes(tmp_path: Path) -> None:
    path = tmp_path / "ngram_baseline.npz"
    save_baseline(str(tmp_path), model())
    first = path.read_bytes()
    save_baseline(str(tmp_path), model())
    assert path.read_bytes() == first


def test_a_run_of_an_earlier_version_has_none(tmp_path: Path) -> None:
    assert load_baseline(run_in(tmp_path)) is None


def test_another_file_is_named_with_what_can_be_done(tmp_path: Path) -> None:
    path = tmp_path / "ngram_baseline.npz"
    save_baseline(str(tmp_path), model())
    with pytest.raises(DataError, match=r"ngram_baseline\.npz: .* got 3 labels, expected 2"):
        load_baseline(run_in(tmp_path, "ab"))
    content = path.read_bytes()
    for damaged in (content[:1000], b"", b"{}", content.replace(b"bias", b"bi\0s")):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"ngram_baseline\.npz: damaged, .* or remove it"):
            load_baseline(run_in(tmp_path))
    np.savez(path, format_version=2)
    with pytest.raises(DataError, match="got format version 2, expected 1"):
        load_baseline(run_in(tmp_path))

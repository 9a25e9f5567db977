"""How batches are filled up to the sizes that were compiled."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from charseq.manifest import parse_manifest
from charseq.models.saved_model import load_saved_model
from charseq.server.model.classifier import BatchClassifier, fill_sizes
from tests.support.versioned_model import save_versioned_model


@pytest.mark.unit
@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (1, [(1, 1)]),
        (2, [(2, 16)]),
        (16, [(16, 16)]),
        (17, [(16, 16), (1, 1)]),
        (31, [(16, 16), (15, 16)]),
        (32, [(32, 64)]),
        (64, [(64, 64)]),
        (100, [(64, 64), (36, 64)]),
        (200, [(64, 64)] * 3 + [(8, 16)]),
        (511, [(64, 64)] * 7 + [(63, 64)]),
        (512, [(512, 1024)]),
        (1100, [(1024, 1024), (64, 64), (12, 16)]),
    ],
)
def test_rows_are_filled_up_to_a_size_and_divided_if_that_is_much_larger(
    rows: int, expected: list[tuple[int, int]]
) -> None:
    assert fill_sizes(rows, (1, 16, 64, 1024)) == expected


@pytest.mark.integration
def test_large_batches_are_answered_alike_by_the_largest_program(tmp_path: Path) -> None:
    path = save_versioned_model(tmp_path / "model", 1)
    manifest = parse_manifest((path / "assets" / "dataset.json").read_bytes(), "m")
    classifier = BatchClassifier(load_saved_model(str(path), "m", False), manifest)
    texts = np.array([b"abcdefgh"[: 1 + number % 8] for number in range(700)], object)
    before, _ = classifier(texts)
    classifier.compile_largest()
    after, counted = classifier(texts)
    np.testing.assert_allclose(after["probabilities"], before["probabilities"], atol=1e-6)
    assert (after["label"].tolist(), counted.characters) == (before["label"].tolist(), 2881)

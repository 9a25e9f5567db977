"""What benchmarks.similar makes of what it measures."""

from __future__ import annotations

from pathlib import Path

import pytest
from rapidfuzz.distance import Levenshtein

from benchmarks.similar.leak import GROUP, WAYS, Measured, cluster_lines, leak_table
from benchmarks.similar.peers import (
    cluster,
    count_together,
    find_near_pairs,
    plant_copies,
    read_cd_hit,
    read_mmseqs,
)

pytestmark = pytest.mark.unit

BY_HASH, _, DROP = WAYS
LEAK = {"leak": {"sampled": 20, "near": 0}, "leak_by_hash": {"sampled": 200, "near": 30}}
RESULTS = [
    Measured("names", BY_HASH, 800, 100, 0.91, 0.9, None),
    Measured(
        "names",
        GROUP,
        700,
        20,
        0.85,
        0.8,
        {"sequences": 1000, "linked": 700, "clusters": 3, "largest": 600, **LEAK},
    ),
    Measured("names", DROP, 500, 100, 0.875, 0.86, {"sequences": 1000, "dropped": 300, **LEAK}),
]


def test_the_leak_by_hash_is_that_of_the_same_data() -> None:
    assert leak_table(RESULTS).splitlines()[2:] == [
        "| first names by sex: by the hash | 800 | 100 | 15.0 % of 200 | 91.0 | 90.0 |",
        "| first names by sex: `--similar 0.8` | 700 | 20 | 0 % of 20 | 85.0 | 80.0 |",
        "| first names by sex: `--similar-policy drop` | 500 | 100 | 0 % of 20 | 87.5 | 86.0 |",
    ]


def test_a_cluster_of_more_than_half_is_refused() -> None:
    assert cluster_lines(RESULTS) == [
        "- first names by sex: 700 of 1,000 sequences are in 3 clusters, the largest has 60.0 %, "
        "refused without `--max-cluster-share 1`"
    ]


def test_each_second_sequence_becomes_a_near_copy() -> None:
    planted = plant_copies(["ACDEFGHIKL", "W", "MNPQR", "W", "STVWY"], seed=1)
    assert planted[::2] == ["ACDEFGHIKL", "MNPQR", "STVWY"]
    distances = [Levenshtein.distance(planted[0], planted[1]), Levenshtein.distance(*planted[2:4])]
    assert 1 <= distances[0] <= 2
    assert distances[1] == 1


def test_pairs_of_the_first_sequences_are_found_once() -> None:
    sequences = ["ACDEF", "ACDEG", "MNPQR", "MNPQS", "ACDEH"]
    # MNPQR and MNPQS are near too, but neither is among the first two.
    assert find_near_pairs(sequences, compared=2) == [(0, 1), (0, 4), (1, 4)]


def test_pairs_in_one_cluster_are_counted() -> None:
    pairs = [(0, 1), (0, 2), (3, 4)]
    assert count_together(pairs, {0: 7, 1: 7, 2: 8}) == 1


def test_clusters_are_those_of_similar() -> None:
    found = cluster(["ACDEF", "MNPQR", "ACDEG", "ACDHG"])
    assert sorted(found) == [0, 2, 3]
    assert len(set(found.values())) == 1  # ACDEF and ACDHG by ACDEG


def test_what_peers_write_is_read(tmp_path: Path) -> None:
    (tmp_path / "out.clstr").write_text(
        ">Cluster 0\n0\t31aa, >4... *\n1\t30aa, >12... at 90.00%\n>Cluster 1\n0\t9aa, >5... *\n"
    )
    (tmp_path / "out_cluster.tsv").write_text("4\t4\n4\t12\n5\t5\n")
    assert read_cd_hit(tmp_path) == {4: 0, 12: 0, 5: 1}
    assert read_mmseqs(tmp_path) == {4: 4, 12: 4, 5: 5}

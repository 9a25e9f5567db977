from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from charseq.chain import Named, alone_note, merge, order_chain, split_name
from charseq.errors import DataError
from charseq.files import FileDigest
from charseq.manifest import SEAL_KEY, InputFile, Manifest, RowCounts, Shard, parse_manifest
from tests.support.manifests import toy_manifest

A, B, C = "a" * 64, "b" * 64, "c" * 64


def dataset(directory: str, fingerprint: str, *base: str, **changes: Any) -> Named:
    return Named(directory, toy_manifest(fingerprint=fingerprint, base=base, **changes))


CHAIN = [dataset("base", A), dataset("first", B, A), dataset("second", C, A, B)]


@pytest.mark.parametrize("order", permutations(range(3)))
def test_datasets_are_ordered_by_what_they_add_to(order: tuple[int, ...]) -> None:
    given = [CHAIN[number] for number in order]
    assert [given[number].directory for number in order_chain(given)] == ["base", "first", "second"]


def test_the_same_dataset_twice_is_refused() -> None:
    with pytest.raises(
        DataError, match=r"^base and copy are the same dataset, of fingerprint a{16}:"
    ):
        order_chain([CHAIN[0], dataset("copy", A)])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([0, 2], "second adds rows to the dataset of fingerprint bbbbbbbbbbbbbbbb, which is not"),
        ([1, 2], "first adds rows to the dataset of fingerprint aaaaaaaaaaaaaaaa, which is not"),
    ],
)
def test_a_chain_with_a_hole_is_refused(given: list[int], message: str) -> None:
    with pytest.raises(DataError, match=f"^{message}"):
        order_chain([CHAIN[number] for number in given])


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ([dataset("base", A), dataset("other", B)], "base and other"),
        ([dataset("d", B, A), dataset("base", A), dataset("e", C, A)], "d and e"),
        ([dataset("base", A), dataset("d", B, A), dataset("e", C, B, A)], "d and e"),
    ],
)
def test_datasets_of_two_chains_are_refused(given: list[Named], names: str) -> None:
    with pytest.raises(DataError, match=f"^{names} are not of one chain: neither adds rows to the"):
        order_chain(given)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"alphabet": ("B", "A")}, "alphabet"),
        ({"encoding": "one_hot"}, "encoding"),
        ({"max_length": 4}, "max length"),
        ({"compression": "gzip"}, "compression"),
        ({"unknown_id": 4}, "unknown id"),
        ({"feature_spec": {}}, "feature spec"),
        ({"options": {"normalize": "nfc", "lowercase": True}}, "normalization"),
    ],
)
def test_a_dataset_that_does_not_fit_is_refused(changes: dict[str, Any], what: str) -> None:
    with pytest.raises(DataError, match=f"^delta is of another {what} than base, to which it adds"):
        order_chain([CHAIN[0], dataset("delta", B, A, **changes)])


def test_labels_are_only_added_at_the_end() -> None:
    more = dataset("more", B, A, labels=("x", "y", "z"))
    assert order_chain([more, CHAIN[0]]) == [1, 0]
    with pytest.raises(DataError, match=r"^the labels of more do not begin with those of base, to"):
        order_chain([CHAIN[0], dataset("more", B, A, labels=("z", "x", "y"))])


def test_datasets_with_folds_are_refused() -> None:
    folded = {"options": {"folds": 3}}
    with pytest.raises(DataError, match=r"^base has folds: it cannot be read together with others"):
        order_chain([dataset("base", A, **folded), dataset("delta", B, A, **folded)])


def shard(path: str, split: str, records: int) -> Shard:
    return Shard(path, split, records, 10 * records, "00")


def merged() -> Manifest:
    base = toy_manifest(
        fingerprint=A,
        counts=RowCounts(9, 4, 0, 2, 1, 2, {"empty": 2}, 3, 1, 5, {"sequence": {"nfc": 1}}),
        length_histogram={"train": {"1": 3, "2": 1}, "test": {"2": 2}},
        label_counts={"train": {"x": 3, "y": 1}, "test": {"x": 2}},
        character_counts={"train": {"A": 4, "": 1}},
        shards=(
            *(shard(f"train/part-{number}", "train", 1) for number in range(4)),
            shard("test/part-0", "test", 2),
        ),
        inputs=(InputFile("old.csv", 12),),
        notes=("a note", "of both"),
        files=(FileDigest("parity.jsonl", 1, "11"),),
        strata={"test": ["0"]},
    )
    delta = toy_manifest(
        fingerprint=B,
        base=(A,),
        labels=("x", "y", "z"),
        counts=RowCounts(
            5, 2, 1, 0, 0, 2, {"empty": 1, "rare": 1}, 1, 0, 0, {"sequence": {"nfc": 2}}
        ),
        length_histogram={"train": {"1": 2}, "validation": {"3": 1}},
        label_counts={"train": {"x": 1, "z": 1}, "validation": {"z": 1}},
        character_counts={"train": {"A": 1, "B": 1}, "validation": {"B": 3}},
        shards=(shard("train/part-0", "train", 2), shard("validation/part-0", "validation", 1)),
        inputs=(InputFile("new.csv", 34),),
        notes=("of both", "another"),
        files=(FileDigest("parity.jsonl", 2, "22"),),
    )
    return merge([base, delta])


def test_a_chain_has_the_rows_of_all_its_datasets() -> None:
    chain = merged()
    assert chain.counts == RowCounts(
        14, 6, 1, 2, 1, 4, {"empty": 3, "rare": 1}, 4, 1, 5, {"sequence": {"nfc": 3}}
    )
    assert chain.length_histogram == {
        "train": {"1": 5, "2": 1},
        "validation": {"3": 1},
        "test": {"2": 2},
    }
    assert chain.labels == ("x", "y", "z")
    assert chain.counts_of_labels("train") == [4, 1, 1]
    assert chain.character_counts == {"train": {"A": 5, "": 1, "B": 1}, "validation": {"B": 3}}
    assert [file.path for file in chain.inputs] == ["old.csv", "new.csv"]
    assert chain.notes == ("a note", "of both", "another")
    assert (chain.base, chain.strata, chain.files[0].sha256) == ((), None, "22")


def test_the_shards_of_a_chain_are_named_by_place_and_spread_evenly() -> None:
    assert [shard.path for shard in merged().shards] == [
        "0/train/part-0",
        "0/train/part-1",
        "1/train/part-0",
        "0/train/part-2",
        "0/train/part-3",
        "1/validation/part-0",
        "0/test/part-0",
    ]
    assert split_name("1/train/part-0") == (1, "train/part-0")
    assert split_name("transform/transform_fn") == (-1, "transform/transform_fn")


def test_a_chain_has_a_fingerprint_and_a_seal_of_its_own() -> None:
    chain = merged()
    assert chain.fingerprint == "f8c3cc26a55ffd14ceded2058de1585e3b87f108a1251dd4ed4a396ee0bcca5d"
    assert chain.manifest_sha256 == chain.compute_seal()
    assert parse_manifest(chain.to_text(), "dataset.json") == chain
    assert SEAL_KEY in chain.to_json()


def test_what_one_dataset_does_not_know_a_chain_does_not_know() -> None:
    counted = toy_manifest(character_counts={"train": {"A": 1}})
    assert merge([counted, toy_manifest(fingerprint=B)]).character_counts is None


def test_weights_are_added_up() -> None:
    base = toy_manifest(label_weights={"train": {"x": 1.5, "y": 0.5}})
    delta = toy_manifest(label_weights={"train": {"x": 2.5}})
    assert merge([base, delta]).label_weights == {"train": {"x": 4.0, "y": 0.5}}


def test_a_dataset_that_is_read_without_those_before_it_gets_a_note() -> None:
    assert alone_note("base", CHAIN[0].manifest) is None
    assert alone_note("d", CHAIN[1].manifest) == (
        "d adds rows to 1 other dataset, which is not read: name each with --data to read all rows"
    )
    assert "to 2 other datasets, which are not read" in (alone_note("d", CHAIN[2].manifest) or "")

"""dataset.json as a typed object: read, written and hashed."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from charseq.errors import DataError
from charseq.examples import feature_spec
from charseq.files import FileDigest
from charseq.manifest import (
    InputFile,
    Manifest,
    RowCounts,
    Shard,
    manifest_from_json,
    parse_manifest,
)
from tests.support.manifests import toy_manifest

pytestmark = pytest.mark.unit

MANIFEST = Manifest(
    format_version=1,
    fingerprint="",
    encoding="ids",
    compression="none",
    max_length=3,
    alphabet_size=2,
    padding_id=0,
    unknown_id=3,
    alphabet=("é", "A"),
    labels=("x", "y"),
    feature_spec=feature_spec("ids", 3, 2),
    counts=RowCounts(6, 3, 1, 0, 1, 1, {"empty_sequence": 1}, 0, 0, 2),
    length_histogram={"train": {"1": 2, "3": 1}, "validation": {"2": 1}},
    label_counts={"train": {"x": 2, "y": 1}, "validation": {"y": 1}},
    shards=(
        Shard("train/part-00000-of-00001.tfrecord", "train", 3, 99, "aa"),
        Shard("validation/part-00000-of-00001.tfrecord", "validation", 1, 33, "bb"),
        Shard("test/part-00000-of-00001.tfrecord", "test", 0, 0, "cc"),
    ),
    inputs=(InputFile("rows.csv", 40, "sha256:dd"),),
    options={"seed": 0},
    versions={"numpy": "2.0"},
)


def test_a_manifest_survives_writing_and_reading() -> None:
    sealed = MANIFEST.with_fingerprint().sealed((FileDigest("parity.jsonl", 7, "ee"),))
    assert parse_manifest(sealed.to_text(), "dataset.json") == sealed
    assert sealed.compute_seal() == sealed.manifest_sha256
    assert sealed.compute_fingerprint() == sealed.fingerprint


def test_notes_are_kept_and_a_manifest_without_them_has_no_such_key() -> None:
    noted = replace(MANIFEST, notes=("mind the labels",)).with_fingerprint().sealed(())
    assert parse_manifest(noted.to_text(), "dataset.json") == noted
    assert noted.fingerprint == MANIFEST.with_fingerprint().fingerprint
    assert "notes" not in MANIFEST.to_json()


def test_the_text_is_indented_json_in_the_order_of_the_fields() -> None:
    lines = MANIFEST.to_text().splitlines()
    assert lines[:3] == ["{", ' "format_version": 1,', ' "fingerprint": "",']
    assert '  "é",' in lines
    assert MANIFEST.to_text().endswith("}\n")
    assert list(json.loads(MANIFEST.to_text()))[-3:] == ["versions", "files", "manifest_sha256"]


def test_the_fingerprint_depends_on_what_was_produced_and_on_nothing_else() -> None:
    same = replace(MANIFEST, options={"seed": 1}, versions={}, inputs=())
    assert same.compute_fingerprint() == MANIFEST.compute_fingerprint()
    other = replace(MANIFEST, labels=("x", "z"))
    assert other.compute_fingerprint() != MANIFEST.compute_fingerprint()


def test_shards_without_a_record_are_not_of_a_split() -> None:
    assert [shard.sha256 for shard in MANIFEST.shards_of("train")] == ["aa"]
    assert (MANIFEST.records("train"), MANIFEST.records("test")) == (3, 0)


def test_an_input_file_of_an_earlier_version_has_no_identity() -> None:
    content = json.loads(MANIFEST.sealed(()).to_text())
    del content["inputs"][0]["identity"]
    read = manifest_from_json(content, "dataset.json")
    assert read.inputs == (InputFile("rows.csv", 40, None),)
    assert json.loads(read.to_text()) == content


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "d/dataset.json: not JSON"),
        ("[]", "d/dataset.json: not a manifest"),
        ("{}", "d/dataset.json: no 'format_version' in it"),
        ('{"format_version": 4}', "got format version 4, expected at most 3"),
        ('{"format_version": 1}', "d/dataset.json: no 'fingerprint' in it"),
    ],
)
def test_what_is_no_manifest_is_refused_with_its_path(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        parse_manifest(text, "d/dataset.json")


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (None, "label_weights and the feature weight do not go together"),
        ({"train": {"x": 1.0}}, "label_weights of train are of other labels than its records"),
        ({"train": {"x": 1.0, "y": 0}}, "a weight in label_weights of train is not finite and ab"),
        ({"train": {"x": 1.0, "y": "2"}}, "not a manifest"),
        ({"train": 3}, "not a manifest"),
        ({}, "no 'train' in it"),
    ],
)
def test_damaged_weights_are_refused(weights: object, message: str) -> None:
    spec = feature_spec("ids", 3, 2, has_weight=True)
    sound = toy_manifest(feature_spec=spec, label_weights={"train": {"x": 0.5, "y": 3.0}})
    content = json.loads(sound.to_text())
    assert manifest_from_json(content, "d") == sound
    content["label_weights"] = weights
    with pytest.raises(DataError, match=message):
        manifest_from_json(content, "d")

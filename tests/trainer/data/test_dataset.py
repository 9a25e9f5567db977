from __future__ import annotations

import hashlib
import json

import pytest

from charseq.errors import DataError
from charseq.manifest import FORMAT_VERSION, Feature
from tests.support.datasets import toy_rows, write_dataset
from trainer.data.dataset import read_dataset


@pytest.fixture
def dataset(tmp_path):
    rows = toy_rows(12)
    write_dataset(tmp_path, {"train": rows[:9], "validation": rows[9:], "test": []}, shards=2)
    return tmp_path


def change(dataset, **values):
    path = dataset / "dataset.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_manifest_holds_what_was_written(dataset):
    read = read_dataset(str(dataset))
    manifest = read.manifest
    assert manifest.labels == ("y", "x", "z")
    assert manifest.alphabet == ("A", "B", "C")
    assert manifest.feature_spec["sequence"] == Feature((6,), "int64")
    assert [shard.records for shard in manifest.shards_of("train")] == [5, 4]
    assert manifest.records("train") == 9
    assert read.path("parity.jsonl") == f"{dataset}/parity.jsonl"


def test_a_split_without_rows_has_no_shards_to_read(dataset):
    read = read_dataset(str(dataset))
    assert read.manifest.shards_of("test") == ()
    assert read.manifest.records("test") == 0
    read.check_not_empty("train")
    with pytest.raises(DataError, match="its split 'test' has no row"):
        read.check_not_empty("test")


def test_no_directory(tmp_path):
    with pytest.raises(DataError, match="none: no such directory"):
        read_dataset(str(tmp_path / "none"))


def test_no_manifest(dataset):
    (dataset / "dataset.json").unlink()
    with pytest.raises(DataError, match=r"holds no dataset\.json: not a dataset, or its prep"):
        read_dataset(str(dataset))


def test_newer_format(dataset):
    change(dataset, format_version=FORMAT_VERSION + 1)
    with pytest.raises(
        DataError, match=f"version {FORMAT_VERSION + 1}, expected at most {FORMAT_VERSION}"
    ):
        read_dataset(str(dataset))


@pytest.mark.parametrize("text", ["{", "\xff", ""])
def test_broken_json(dataset, text):
    (dataset / "dataset.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=r"dataset\.json: not JSON"):
        read_dataset(str(dataset))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "not a manifest"),
        ('{"format_version": "new"}', "not a manifest"),
        ('{"format_version": 1}', "no 'fingerprint' in it"),
    ],
)
def test_json_that_is_no_manifest(dataset, content, message):
    (dataset / "dataset.json").write_text(content)
    with pytest.raises(DataError, match=message):
        read_dataset(str(dataset))


def test_missing_shard(dataset):
    (dataset / "train" / "part-00001-of-00002.tfrecord").unlink()
    with pytest.raises(DataError, match=r"part-00001-of-00002\.tfrecord: no such file"):
        read_dataset(str(dataset))


def test_torn_shard(dataset):
    shard = dataset / "train" / "part-00001-of-00002.tfrecord"
    size = shard.stat().st_size
    shard.write_bytes(shard.read_bytes()[:-3])
    with pytest.raises(DataError, match=f"got {size - 3} bytes, expected {size}"):
        read_dataset(str(dataset))


def test_a_dataset_of_the_first_versions_has_no_digests_of_files(dataset):
    path = dataset / "dataset.json"
    content = json.loads(path.read_text())
    del content["files"], content["manifest_sha256"]
    path.write_text(json.dumps(content))
    assert read_dataset(str(dataset)).manifest.files == ()


def test_the_hash_of_the_manifest_is_that_of_its_file(dataset):
    digest = hashlib.sha256((dataset / "dataset.json").read_bytes()).hexdigest()
    assert read_dataset(str(dataset)).manifest_sha256 == digest


def test_a_dataset_that_is_replaced_while_it_is_used_is_named(dataset):
    read = read_dataset(str(dataset))
    read.check_unchanged()
    change(dataset, options={"seed": 1})
    with pytest.raises(DataError, match=r"dataset\.json: replaced while it was used: the"):
        read.check_unchanged()
    (dataset / "dataset.json").unlink()
    with pytest.raises(DataError, match=r"dataset\.json: removed while it was used"):
        read.check_unchanged()


def test_files_are_verified_by_their_hashes(dataset):
    read = read_dataset(str(dataset))
    assert read.verified_path("parity.jsonl") == str(dataset / "parity.jsonl")
    with pytest.raises(DataError, match=r"report\.html: dataset\.json does not name it"):
        read.verified_path("report.html")
    (dataset / "parity.jsonl").write_text("{}")
    with pytest.raises(DataError, match=r"parity\.jsonl: changed after the preparation"):
        read.verified_path("parity.jsonl")
    (dataset / "parity.jsonl").unlink()
    with pytest.raises(DataError, match=r"parity\.jsonl: no such file, but dataset\.json names it"):
        read.verified_path("parity.jsonl")
